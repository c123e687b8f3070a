# Mounts the filesystem; a flash chip that has none yet gets one.
import sys

import vfs
import virt

try:
    flash = virt.Flash()
    try:
        vfs.mount(flash, "/")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(flash, "/")
except Exception as er:
    sys.print_exception(er)
sys.path.append("/lib")
