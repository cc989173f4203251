package sites

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/panelmail/panelmail/transport"
)

// Source implements [transport.Sourcer]. Of a pool it picks by the queue ID: see
// pick.
func (s *Snapshot) Source(_ context.Context, q transport.Query) (transport.Source, string, bool, error) {
	pool, key, err := s.pool(q)
	switch {
	case err != nil || len(pool) == 0:
		return transport.Source{}, "", false, err
	case len(pool) == 1:
		return pool[0].source, sourceRule + key, true, nil
	}
	rule := fmt.Sprintf("%s%s (one of %d by the queue ID)", sourceRule, key, len(pool))
	return pick(pool, q.ID).source, rule, true, nil
}

// sourceRule begins the rules of sources.
const sourceRule = "source: "

// Pool returns the sources that [Snapshot.Source] chooses among by the queue ID, in
// order of their addresses. There is none if it has nothing to say.
func (s *Snapshot) Pool(q transport.Query) ([]transport.Source, error) {
	rows, _, err := s.pool(q)
	if err != nil {
		return nil, err
	}
	var pool []transport.Source
	for _, row := range rows {
		pool = append(pool, row.source)
	}
	return pool, nil
}

// pool finds the sources of a query, and their key.
func (s *Snapshot) pool(q transport.Query) (pool []sourceRow, key string, err error) {
	if _, ok := s.sites[q.Origin.Site]; !ok && q.Origin.Site != "" {
		// It was removed or renamed while the mail was on its way: nothing leaves
		// from where it did not ask to.
		return nil, "", notFound("site", q.Origin.Site)
	}
	l := lookupSender(q.Sender)
	site := s.responsible(q, l)
	for _, key := range s.sourceKeys(q, l, site) {
		if pool := s.sources[key]; len(pool) > 0 && s.visible(pool[0].domain, site) {
			return pool, key, nil
		}
	}
	return nil, "", nil
}

// sourceKeys are the keys to search the sources by, most specific first. The login
// of a message counts for what it submitted under its own name alone, and only
// while it is of the site that answers for the message.
func (s *Snapshot) sourceKeys(q transport.Query, l senderLookup, site string) [6]string {
	login := ""
	if q.Origin.Login != "" && !q.Rewritten {
		if name, _, err := foldLogin(q.Origin.Login); err == nil {
			if pool := s.sources[loginKey+name]; len(pool) > 0 && pool[0].site == site {
				login = loginKey + name
			}
		}
	}
	return [...]string{l.whole, l.base, l.at, login, site, keyDefault}
}

// pick chooses a member of a pool for a message: each with the probability of its
// weight, and by nothing but the members and the ID, so that a message keeps its
// source over retries and restarts. A member that comes or goes moves no message
// from one of the others to another (weighted rendezvous hashing).
func pick(pool []sourceRow, id string) sourceRow {
	best, least := pool[0], math.Inf(1)
	for _, row := range pool {
		sum := sha256.Sum256([]byte(id + "\x00" + addrText(row.source.IPv4) + "\x00" + addrText(row.source.IPv6)))
		u := (float64(binary.BigEndian.Uint64(sum[:])>>11) + 0.5) / (1 << 53) // within 0 and 1
		if score := -math.Log(u) / float64(row.weight); score < least {
			best, least = row, score
		}
	}
	return best
}
