package mailcore

// RelayForms are the forms that OpenRelays tries.
func RelayForms(local, remote string) []string {
	return (&relayProbe{local: local, remote: remote}).forms()
}

// LoadUnchecked puts restrictions in force as a loader would that has no eye for open
// relays.
func (s *Server) LoadUnchecked(r Restrictions) error {
	next := *s.current()
	var err error
	if next.policy, err = r.policy(); err != nil {
		return err
	}
	s.desk.Store(&next)
	return nil
}
