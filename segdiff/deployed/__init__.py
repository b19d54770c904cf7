"""Does an optimiser change the result? Both models as their users run them, against themselves as written."""

from segdiff.deployed.leg import NOT_DEPLOYED, AsDeployed, as_deployed

__all__ = ["NOT_DEPLOYED", "AsDeployed", "as_deployed"]
