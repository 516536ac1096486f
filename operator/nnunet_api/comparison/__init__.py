"""`NnunetComparison`: whether one way of training is as good as another, under the same conditions."""
