"""Files so large that the Hub sends them only in pieces, from its Xet storage; huggingface_hub puts them together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from tui.engine.hub.client import HubClient, Patience
from tui.engine.hub.guard import origin
from tui.engine.hub.values import bad_answer

_HASH: Final = re.compile(r"[0-9a-f]{64}")


def is_needed(size: int) -> bool:
    """Return whether the Hub doesn't send a file of this many bytes in one go."""
    from huggingface_hub import constants

    return size > constants.MAX_HTTP_DOWNLOAD_SIZE


def fetch(
    client: HubClient,
    address: str,
    path: Path,
    size: int,
    patience: Patience,
    bar_class: type[Any] | None,
) -> None:
    """Fetch a file; what has come is not checked.

    Args:
        client: asks the Hub where the pieces are.
        address: of the file.
        path: where it goes; nothing lies there.
        size: in bytes.
        patience: timeouts and retries to tolerate.
        bar_class: counts the bytes and stops the download by raising.

    Raises:
        ModelLoadError: the Hub doesn't say where the pieces are.
        Exception: an error from huggingface_hub or the network.
    """
    import httpx2
    from huggingface_hub.file_download import xet_get
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._xet import parse_xet_file_data_from_response

    answer = httpx2.Response(200, headers=client.head(address, patience))
    found = parse_xet_file_data_from_response(answer, endpoint=client.endpoint)
    # The token is also sent to the URL that renews access.
    if (
        found is None
        or not _HASH.fullmatch(found.file_hash)
        or origin(found.refresh_route) != origin(client.endpoint)
    ):
        raise bad_answer("it doesn't specify the location of a large file")
    xet_get(
        incomplete_path=path,
        xet_file_data=found,
        headers=build_hf_headers(),
        expected_size=size,
        tqdm_class=bar_class,
    )
