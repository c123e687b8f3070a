# SPDX-License-Identifier: MIT
"""What tinyvlm-deploy asks a MicroPython board to do, as code that runs there.

A file is replaced in two steps, so that a pulled plug leaves the old one or the new one:
`stage` writes NAME.new and compares its checksum, read back on the board; `switch` renames. On
LittleFS a rename replaces in one step. On FAT it removes first: power lost in that moment leaves
NAME.new alone, complete, and `tidy` puts it in place the next time.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field

from .ports import BoardError
from .transports import Link

NEW = ".new"
PACKAGE = "tinyvlm"  # folder of the device package, in `lib`
ENOSPC = 28

# Prints a dict. Every board has its own gaps, so each part may fail by itself.
_PROBE = """
import sys,os,gc
gc.collect()
i=sys.implementation
d={'name':i[0],'version':'.'.join([str(n) for n in i[1][:3]]),'ram':gc.mem_free()}
d['machine']=getattr(i,'_machine','') or (os.uname()[4] if hasattr(os,'uname') else sys.platform)
d['mpy']=getattr(i,'_mpy',0)
d['cwd']=os.getcwd()
try:
 s=os.statvfs(d['cwd'])
 d['block'],d['flash'],d['free']=s[1],s[1]*s[2],s[1]*s[3]
except Exception:pass
for p in sys.path:
 if p.endswith('/lib') and not p.startswith('/rom'):
  d['lib']=p
  break
try:
 import vfs
 d['fs']=max([(len(p),str(type(v))) for v,p in vfs.mount() if d['cwd'].startswith(p)])[1]
except Exception:pass
try:
 v=vfs.rom_ioctl(2,0) if vfs.rom_ioctl(1)>0 else 0
 d['romfs']=v.ioctl(4,0)*v.ioctl(5,0) if hasattr(v,'ioctl') else len(v)
except Exception:pass
for n in list(sys.modules):
 if n.split('.')[0]=='tinyvlm':del sys.modules[n]
try:
 import _tinyvlm
 d['engine']=getattr(_tinyvlm,'__file__','')
except Exception:pass
p=sys.path[:]
sys.path[:]=['.frozen']
try:
 import tinyvlm
 d['frozen']=tinyvlm.__version__
except Exception:pass
sys.path[:]=p
print(d)
"""

# The places where the device package looks for an encoder, in its order.
_PLACES = ("/rom", "/rom/lib", "", "/lib", "/flash", "/sd")

_LIST = """
import os
def names(p):
 try:return sorted(os.listdir(p or '.'))
 except OSError:return []
heads=[]
for p in {places!r}:
 for n in names(p):
  if n[-5:]=='.tvlm' or n[-4:]=='.tvp':
   n=p+'/'+n if p else n
   with open(n,'rb') as f:heads.append((n,f.read(24),os.stat(n)[6]))
left=[n for n in names('') if n[-8:]=='.tvp.new' or n[-9:]=='.tvlm.new' or n=='main.py.new']
left+=[{package!r}+'/'+n for n in names({package!r}) if n[-4:]=='.new']
left+=[{lib!r}+'/'+n for n in names({lib!r}) if n in ('_tinyvlm.mpy.new','_tinyvlm_new.mpy')]
rom=[]
def walk(p):
 for n in names(p):
  q=p+'/'+n
  s=os.stat(q)
  if s[0]&0x4000:walk(q)
  else:rom.append((q,s[6]))
walk('/rom')
print((heads,left,rom))
"""

# sums(path) -> (bytes, kind, checksum), or None if there is no such file.
_SUMS = """
try:
 import hashlib
 hashlib.sha256
except (ImportError,AttributeError):hashlib=None
import binascii
def total(parts):
 n=c=0
 h=hashlib.sha256() if hashlib else None
 for b in parts:
  n+=len(b)
  if h:h.update(b)
  else:c=binascii.crc32(b,c)
 return (n,'sha256',binascii.hexlify(h.digest()).decode()) if h else (n,'crc32','%08x'%c)
def parts(f):
 b=bytearray(512)
 v=memoryview(b)
 while 1:
  n=f.readinto(b)
  if not n:return
  yield v[:n]
def sums(p):
 try:
  with open(p,'rb') as f:return total(parts(f))
 except OSError as e:
  if e.args[0]!=2:raise
"""

_SYNC = """
import os
if hasattr(os,'sync'):os.sync()
"""

# Renames NAME.new over NAME for every path, as close together as it goes.
_SWITCH = """
import os
for p in {paths!r}:
 try:os.rename(p+'.new',p)
 except OSError:
  os.stat(p+'.new')
  os.remove(p)
  os.rename(p+'.new',p)
"""

# whole(path): does the file's own CRC say that it is complete?
_WHOLE = """
import os,binascii
def whole(p):
 with open(p,'rb') as f:
  h=f.read(16)
  if h[:4] not in (b'TVPR',b'TVLM') or os.stat(p)[6]<int.from_bytes(h[8:12],'little'):return False
  n=int.from_bytes(h[8:12],'little')-16
  c=0
  while n>0:
   b=f.read(min(n,512))
   n-=len(b)
   c=binascii.crc32(b,c)
 return c==int.from_bytes(h[12:16],'little')
"""

# A NAME.new without NAME is put in place if it is complete, else removed.
_TIDY = """
done=[]
for p in {left!r}:
 try:
  os.stat(p[:-4])
  os.remove(p)
 except OSError:
  if whole(p):
   os.rename(p,p[:-4])
   done.append(p[:-4])
  else:os.remove(p)
print(done)
"""

_ROMFS_SUM = """
import vfs
v=memoryview(vfs.rom_ioctl(2,0))
print(total(v[i:i+512] if i+512<{size} else v[i:{size}] for i in range(0,{size},512)))
"""

_READ = """
import binascii
with open({path!r},'rb') as f:
 while 1:
  b=f.read(768)
  if not b:break
  print(binascii.b2a_base64(b).decode(),end='')
"""

_SELFTEST = """
import gc,tinyvlm
gc.collect()
e=tinyvlm.load()
t=getattr(tinyvlm,'selftest',None) or e._engine.selftest
if t() is False:raise RuntimeError('the known answer differs')
print(repr((str(e),e.path,bytes(e.fingerprint))))
"""

_VOCAB = """
import tinyvlm
v=tinyvlm.Vocab({path!r})
print(repr((str(v),v.labels)))
"""


@dataclass
class Facts:
    """What a board is and has. Sizes in bytes; None where the board does not tell."""

    name: str
    version: str
    machine: str
    ram: int
    cwd: str
    mpy: int = 0
    lib: str | None = None
    block: int = 0
    flash: int | None = None
    free: int | None = None
    fs: str = ""
    romfs: int | None = None
    engine: str | None = None  # "" when built in, else the path of a native .mpy
    frozen: str | None = None  # version of the device package built into the firmware
    encoders: list[tuple[str, bytes, int]] = field(default_factory=list)  # path, fingerprint, size
    vocabs: list[tuple[str, bytes, int]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # encoders that are incomplete
    leftovers: list[str] = field(default_factory=list)
    rom_files: list[tuple[str, int]] = field(default_factory=list)

    @property
    def atomic(self) -> bool:
        """Does a rename replace a file in one step?"""
        return "Lfs" in self.fs


@dataclass
class File:
    """A file for the board. was: "new" there, "changed", or "unchanged" (nothing to do)."""

    path: str
    data: bytes
    was: str = "new"


class Target:
    """A board behind a link: looks, writes with care, tests."""

    def __init__(self, link: Link):
        self.link = link
        self.facts = self._look()

    def _look(self) -> Facts:
        facts = Facts(**self.link.value(_PROBE))
        lib = facts.lib or "lib"
        heads, facts.leftovers, facts.rom_files = self.link.value(
            _LIST.format(places=_PLACES, package=f"{lib}/{PACKAGE}", lib=lib)
        )
        for path, head, size in heads:
            if len(head) == 24 and head[:4] == b"TVLM":
                facts.encoders.append((path, head[16:], size))
            elif len(head) == 24 and head[:4] == b"TVPR" and not path.startswith("/rom"):
                facts.vocabs.append((path, head[16:], size))
        # The first one counts, unless its copy was cut off: then it is as good as none.
        while facts.encoders and not self._whole(facts.encoders[0]):
            facts.damaged.append(facts.encoders.pop(0)[0])
        return facts

    def _whole(self, encoder: tuple[str, bytes, int]) -> bool:
        path, _, size = encoder
        return self.link.value(f"{_WHOLE}\nprint(whole({path!r}))", 30 + size / 10_000)

    def compare(self, files: list[File]) -> None:
        """Find out which of the files the board has already."""
        if not files:
            return
        paths = [file.path for file in files]
        seconds = 30 + sum(len(file.data) for file in files) / 10_000
        sums = self.link.value(f"{_SUMS}\nprint([sums(p) for p in {paths!r}])", seconds)
        for file, found in zip(files, sums, strict=True):
            if found is not None:
                file.was = "unchanged" if found == _sum(file.data, found[1]) else "changed"

    def tidy(self) -> list[str]:
        """Clear away what an interrupted copy left; returns the files that were saved by it."""
        if not self.facts.leftovers:
            return []
        return self.link.value(_WHOLE + _TIDY.format(left=self.facts.leftovers), 60)

    def make_folders(self, paths: list[str]) -> None:
        folders = []
        for path in paths:
            parts = path.split("/")[:-1]
            folders += ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        wanted = [folder for folder in dict.fromkeys(folders) if folder]
        self.link.run(
            f"import os\nfor p in {wanted!r}:\n try:os.stat(p)\n except OSError:os.mkdir(p)"
        )

    def stage(self, file: File) -> None:
        """Write NAME.new and compare it with what was meant. Nothing changes for the board."""
        new = file.path + NEW
        self.link.put(new, file.data)
        self.link.run(_SYNC)
        seconds = 30 + len(file.data) / 10_000
        found = self.link.value(f"{_SUMS}\nprint(sums({new!r}))", seconds)
        if found is None or found != _sum(file.data, found[1]):
            raise BoardError(
                f"{file.path}: its checksum differs on the board; nothing was replaced. "
                "Try again, or another USB cable"
            )

    def unstage(self, files: list[File]) -> None:
        paths = [file.path + NEW for file in files]
        self.link.run(
            f"import os\nfor p in {paths!r}:\n try:os.remove(p)\n except OSError:pass" + _SYNC
        )

    def switch(self, files: list[File]) -> None:
        """Put the staged files in place."""
        self.link.run(_SWITCH.format(paths=[file.path for file in files]) + _SYNC)

    def read(self, path: str) -> bytes:
        import binascii

        return binascii.a2b_base64(self.link.run(_READ.format(path=path), 600))

    def check_romfs(self, image: bytes) -> bool:
        """Is the image in ROMFS, byte by byte?"""
        code = _SUMS + _ROMFS_SUM.format(size=len(image))
        found = self.link.value(code, 30 + len(image) / 10_000)
        return found == _sum(image, found[1])

    def selftest(self) -> tuple[str, str, bytes]:
        """Load the encoder and run its known answer: (what it says, its path, fingerprint)."""
        return self.link.value(_SELFTEST, 300)

    def vocab(self, path: str) -> tuple[str, list[str]]:
        """Open a vocabulary on the board: (what it says, its labels)."""
        return self.link.value(_VOCAB.format(path=path))


def _sum(data: bytes, kind: str) -> tuple[int, str, str]:
    if kind == "sha256":
        return len(data), kind, hashlib.sha256(data).hexdigest()
    return len(data), kind, f"{zlib.crc32(data):08x}"
