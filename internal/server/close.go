package server

// close takes down what New built, in the reverse order. Parts that were never
// built are left out; those that are closed already do not mind.
func (s *Server) close() {
	c, m := &s.control, &s.media
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.tls.listener != nil {
		_ = s.tls.listener.Close()
	}
	if c.sessions != nil {
		c.sessions.Close()
		c.gateway.Close()
	}
	if m.rtmp != nil {
		m.rtmp.Close()
	}
	if s.tls.rtmp != nil {
		s.tls.rtmp.Close()
	}
	if m.srt != nil {
		m.srt.Close()
	}
	if m.frames != nil {
		m.frames.Close()
	}
	if m.hub != nil {
		m.hub.Close()
		m.viewers.Close()
	}
	if m.posters != nil {
		m.posters.Close()
	}
	if c.reports != nil {
		c.reports.Close()
	}
	if m.recorder != nil {
		m.recorder.Close()
	}
	if c.managed != nil {
		c.managed.cancel()
		c.managed.wg.Wait()
		c.managed.restreams.wg.Wait()
	}
	if m.transcode != nil {
		m.transcode.Close()
	}
	if c.store != nil {
		c.store.Close()
	}
	if c.lock != nil {
		c.lock.Close()
	}
}
