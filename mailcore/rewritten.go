package mailcore

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/srs"
	"github.com/panelmail/panelmail/transport"
)

// An authorKey stands for whom a rewritten address is for. It is the same for all
// addresses that can be made of one without the secret, by writing it otherwise or
// by moving octets between host and user; and for those made on other days.
type authorKey [16]byte

func authorKeyOf(original address.Address) authorKey {
	local, _ := srs.CutTag(original.Local)
	sum := sha256.Sum256([]byte(strings.ToLower(original.Domain + local)))
	return authorKey(sum[:])
}

// A rewrittenWatch counts what comes to rewritten addresses: see [Forwarding].
type rewrittenWatch struct {
	mu      sync.Mutex
	bounces tally[authorKey]
	guesses tally[netip.Addr]
}

const (
	bounceWindow = 24 * time.Hour   // in which BouncesPerDay are forgotten
	guessWindow  = 15 * time.Minute // in which WrongAddresses are
)

func newRewrittenWatch() *rewrittenWatch {
	return &rewrittenWatch{bounces: tally[authorKey]{}, guesses: tally[netip.Addr]{}}
}

// hasRoom reports whether a limit of copies a day lets one more in for an author, of a
// message that has some for given already.
func (w *rewrittenWatch) hasRoom(limit int, author authorKey, given ...[]authorKey) bool {
	if limit < 0 {
		return true
	}
	n := 1
	for _, authors := range given {
		for _, a := range authors {
			if a == author {
				n++
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bounces.count(author, bounceWindow/time.Duration(limit), time.Now())+n <= limit
}

// take counts the copies of a message for authors, one for each time that an author is
// among them, if there is room for all.
func (w *rewrittenWatch) take(limit int, authors []authorKey) bool {
	if limit < 0 {
		return true
	}
	copies := map[authorKey]int{}
	for _, author := range authors {
		copies[author]++
	}
	cost, now := bounceWindow/time.Duration(limit), time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for author, n := range copies {
		if w.bounces.count(author, cost, now)+n > limit {
			return false
		}
	}
	for _, author := range authors {
		w.bounces.add(author, cost, now)
	}
	return true
}

// giveBack takes out the copies that take counted, of a message that was not stored.
func (w *rewrittenWatch) giveBack(limit int, authors []authorKey) {
	if limit < 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, author := range authors {
		w.bounces.takeOut(author, bounceWindow/time.Duration(limit))
	}
}

// isGuessing reports whether a client has tried as many wrong addresses as limit, so
// that no more are looked at.
func (w *rewrittenWatch) isGuessing(limit int, client netip.Addr) bool {
	if !client.IsValid() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guesses.count(client, guessWindow/time.Duration(limit), time.Now()) >= limit
}

// guessed counts a wrong address.
func (w *rewrittenWatch) guessed(limit int, client netip.Addr) {
	if !client.IsValid() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.guesses.add(client, guessWindow/time.Duration(limit), time.Now())
}

// guesser is the client whose wrong addresses are counted; not valid if nobody's are.
func (s *desk) guesser(d *draft) netip.Addr {
	if d.ours || d.origin.Via != transport.ViaSMTP || s.config.Forwarding.WrongAddresses < 0 {
		return netip.Addr{}
	}
	client, _ := netip.ParseAddr(d.origin.Client) // a Backend may know none
	return guarded(client)
}

func tooManyBounces(to string) error {
	return transport.Replyf(450, "4.7.1", "<%s>: Recipient address rejected: too many messages, try later", to)
}
