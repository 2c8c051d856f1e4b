"""Maps of examples of one domain to another: by noising and denoising, and by way of a latent that both have."""
