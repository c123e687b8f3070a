from . import api, device

__version__: str
__all__: list[str]

Encoder = api.Encoder
Frame = api.Frame
Heatmap = api.Heatmap
Vocab = api.Vocab
classify = api.classify
classify_into = api.classify_into
detect = api.detect
embed = api.embed
heatmap = api.heatmap
info = api.info
load = api.load
pack = api.pack
profile = api.profile
selftest = api.selftest
to_frame = api.to_frame

Smoother = device.Smoother
GRAY8 = device.GRAY8
RGB565_LE = device.RGB565_LE
RGB565_BE = device.RGB565_BE
RGB888 = device.RGB888
BGR888 = device.BGR888
YUYV = device.YUYV
