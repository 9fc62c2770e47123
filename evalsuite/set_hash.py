"""The hash that says which samples a rendered set holds."""

from mixgen.errors import InputError
from mixgen.files import sha256_file
from mixgen.rendered import RENDERED_FILE, RenderedSet


def set_sha256(rendered: RenderedSet) -> str:
    """Return the hash of the record of rendered files, which holds the manifest's hash and theirs.

    Raises:
        InputError: the set was not finished, or its manifest was changed after rendering.
    """
    recorded = rendered.record.header.manifest_sha256
    if recorded != rendered.manifest.sha256:
        raise InputError(
            f"{rendered.folder} was rendered from the manifest {recorded[:12]}, but "
            f"holds {rendered.manifest.sha256[:12]}: run `mixgen render` again."
        )
    return sha256_file(rendered.folder / RENDERED_FILE)
