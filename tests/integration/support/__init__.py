"""What the tests of the operator need around it: a client, a stand-in for the kubelet, faults on the way."""
