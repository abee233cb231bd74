"""boto3's clients of one bucket, each for one purpose, made where it is first needed."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from storage.stores.access import FROM_ENVIRONMENT, Access

CONNECTIONS = 16
ANSWERS_WITHIN_S = 20
JOINS_WITHIN_S = 600
"""S3 may take minutes to join many parts, and answers only then."""


class BucketClients:
    """Reached as is told, else by the standard ``AWS_*`` variables.

    Parameters
    ----------
    bucket : str
    public_url : str, optional
        Where callers reach the same S3.
    access : Access, optional
    """

    def __init__(self, bucket: str, public_url: str | None, access: Access = FROM_ENVIRONMENT) -> None:
        self._bucket, self._public_url, self._access = bucket, public_url, access
        self._session = new_session(access)

    @cached_property
    def client(self) -> Any:
        """For all that S3 answers at once."""
        return self._connect(None, ANSWERS_WITHIN_S)

    @cached_property
    def patient(self) -> Any:
        """For joining parts."""
        return self._connect(None, JOINS_WITHIN_S)

    @cached_property
    def public(self) -> Any:
        """For signing what callers send themselves; None where they cannot."""
        return self._connect(self._public_url, ANSWERS_WITHIN_S) if self._public_url else None

    @cached_property
    def http(self) -> URLLib3Session:
        """For signed URLs; by boto3's own way to proxies and certificates."""
        return URLLib3Session(
            verify=self._access.ca or self._session._session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(self.client.meta.endpoint_url),
            timeout=(5, 60),
            max_pool_connections=CONNECTIONS,
        )

    def _connect(self, url: str | None, read_timeout: float) -> Any:
        told = self._access.client
        default = self._session.client(
            "s3", config=Config(connect_timeout=3, retries={"total_max_attempts": 1}), **told
        )
        is_aws = (url or default.meta.endpoint_url).endswith(".amazonaws.com")
        config = Config(
            signature_version="s3v4",  # boto3 presigns by an older one unless told
            s3={"addressing_style": "auto" if is_aws else "path"},
            connect_timeout=3,
            read_timeout=read_timeout,
            retries={"total_max_attempts": 2},
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",  # others than AWS do not know them all
        )
        region = region_of(self._bucket, default) if is_aws else default.meta.region_name
        more = {**told, "region_name": region, "endpoint_url": url or self._access.endpoint}
        return self._session.client("s3", config=config, **more)


def new_session(access: Access = FROM_ENVIRONMENT) -> boto3.Session:
    """Return a session that reads the ``AWS_*`` variables as they are now; what boto3 knows of S3 is there once."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    if access.keys is not None:
        session.set_credentials(*access.keys)
    return boto3.Session(botocore_session=session)


@cache
def _loader() -> Any:
    return botocore.session.get_session().get_component("data_loader")


def region_of(bucket: str, client: Any) -> str:
    """Return the region of a bucket, which AWS tells to anyone who asks in whichever region."""
    try:
        answer = client.head_bucket(Bucket=bucket)["ResponseMetadata"]
    except ClientError as error:
        answer = error.response["ResponseMetadata"]
    except BotoCoreError:  # the request that needs to know will tell what is wrong
        return str(client.meta.region_name)
    return str(answer["HTTPHeaders"].get("x-amz-bucket-region") or client.meta.region_name)
