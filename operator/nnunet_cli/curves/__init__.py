"""The curves of a training: losses, pseudo-Dice, learning rate of each fold."""
