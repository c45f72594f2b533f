package camera

import "glimpse/protocol"

// Check answers stream_status_check: the wearer's stream, whoever holds it, or
// nil. For a managed stream the caller fills info.URLs from playbackID.
func Check(s State) (info *protocol.StreamInfo, playbackID string) {
	st := s.Stream
	if st == nil {
		return nil, ""
	}
	info = &protocol.StreamInfo{
		Type:      st.Kind.String(),
		StreamID:  st.ID,
		CreatedAt: protocol.Time{Time: st.Created},
		Stats:     st.Glasses.Stats,
	}
	if st.Kind == Direct {
		info.Status = st.Holds[0].Status
		info.RTMPURL, info.StreamURL = st.URL, st.URL
		info.RequestingAppID = st.Holds[0].App
		return info, ""
	}
	viewers := st.Viewers
	info.ActiveViewers = &viewers
	switch {
	case st.Flowing, st.Interrupted() && !st.Told:
		info.Status = protocol.StatusActive
	case st.Interrupted():
		info.Status = protocol.StatusPreparing
	default:
		info.Status = protocol.StatusInitializing
	}
	return info, st.PlaybackID
}
