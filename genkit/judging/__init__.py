"""People as judges of images: what each is shown, the page that shows it, what they answered, and the scores of it."""
