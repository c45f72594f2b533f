package webrtc

// disable switches a destination's segmentation offload off.
func disable(d *destination, off bool) { d.offload = d.offload && !off }
