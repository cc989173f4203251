package mailcore

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

const (
	// perClient is how many passwords of one client are checked at once or wait
	// for their turn among those of other clients; so the turns go round by
	// client, however many connections each has.
	perClient = 2

	// patience is how long an attempt waits for its turn.
	patience = 30 * time.Second

	// maxSlow is the longest wait of an attempt at a login under attack.
	maxSlow = 10 * time.Second

	// refusalStep rounds up the time that a wrong password takes, so that hashes
	// of different cost, and the lack of one, look alike from outside.
	refusalStep = 500 * time.Millisecond
)

// Why a password is not looked at.
var (
	errClientGuesses = errors.New("too many failures from this address")
	errLoginAttacked = errors.New("too many failures for this login")
	errBusy          = errors.New("no turn came")
)

// errWrongPassword is what is told of every attempt that fails.
var errWrongPassword = errors.New("authentication failed")

// A loginKey stands for a name, in whatever way it was written: in any case, with
// needless quotes, with U-labels, without the default realm.
type loginKey [16]byte

func keyOfLogin(name, realm string) loginKey {
	if realm != "" && !strings.Contains(name, "@") {
		name += "@" + realm
	}
	if a, err := address.Parse(name); err == nil {
		name = a.Fold().String()
	}
	sum := sha256.Sum256([]byte(strings.ToLower(name)))
	return loginKey(sum[:])
}

// from stands for a name as one client uses it.
func (k loginKey) from(client netip.Addr) loginKey {
	sum := sha256.Sum256(append(k[:], client.AsSlice()...))
	return loginKey(sum[:])
}

// An attempt is a name and a password that somebody has sent.
type attempt struct {
	client   netip.Addr // its address; not valid if it has none
	name     string
	password string
	login    loginKey // of name; set by authenticate
}

// A watch keeps the [Guard]'s count of attempts.
type watch struct {
	mu       sync.Mutex
	clients  tally[netip.Addr]
	logins   tally[loginKey]
	familiar familiar
	doors    map[netip.Addr]*door
}

// A door lets the attempts of one client in, perClient at once.
type door struct {
	slots chan struct{}
	users int // attempts inside or before it
}

func newWatch() *watch {
	return &watch{
		clients:  tally[netip.Addr]{},
		logins:   tally[loginKey]{},
		familiar: familiar{},
		doors:    map[netip.Addr]*door{},
	}
}

// authenticate has an attempt judged, unless the [Guard] says that it is one too
// many: then the error says why, and the password is not looked at.
func (s *desk) authenticate(ctx context.Context, a attempt) (Identity, error) {
	w, g := s.watch, s.config.Guard
	a.login = keyOfLogin(a.name, s.config.Realm)
	known, slow, err := w.judge(g, a, time.Now())
	if err != nil {
		return Identity{}, err
	}
	if err := pause(ctx, slow); err != nil {
		return Identity{}, err
	}
	who, began, err := s.inTurn(ctx, a, known || g.exempts(a.client))
	if err != nil && !began.IsZero() && !temporary(err) {
		if ended := pause(ctx, refusalStep-time.Since(began)%refusalStep); ended != nil {
			return Identity{}, ended
		}
	}
	return who, err
}

// inTurn waits for a turn and has the password judged, which began at the instant
// it returns; zero if it was not judged. A panic of the Authenticator gives the turn
// back too.
func (s *desk) inTurn(ctx context.Context, a attempt, favoured bool) (who Identity, began time.Time, err error) {
	w, g := s.watch, s.config.Guard
	leave, err := w.enter(ctx, s.turns, favoured, a.client)
	if err != nil {
		return Identity{}, began, err
	}
	defer leave()
	// Others may have failed while this one waited.
	if _, _, err = w.judge(g, a, time.Now()); err != nil {
		return Identity{}, began, err
	}
	began = time.Now()
	who, err = s.identify(context.WithValue(ctx, authAddr{}, a.client), a)
	w.settle(g, a, err, time.Now())
	return who, began, err
}

// identify asks the Authenticator, and finds the site.
func (s *desk) identify(ctx context.Context, a attempt) (Identity, error) {
	who, err := s.auth.Authenticate(ctx, a.name, a.password)
	switch {
	case err != nil:
		return Identity{}, err
	case who.Login == "":
		return Identity{}, authTrouble(errors.New("the Authenticator did not say who it is"))
	case who.Site != "":
		return who, nil
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return Identity{}, authTrouble(err)
	}
	who.Site = settings.SiteOf(who.Login)
	return who, nil
}

// judge says, before the password is looked at, whether the client is familiar
// to the login and how long the attempt has to wait. The error is the reply to
// one that is refused.
func (w *watch) judge(g Guard, a attempt, now time.Time) (known bool, slow time.Duration, err error) {
	client, exempt := guarded(a.client), g.exempts(a.client)
	w.mu.Lock()
	defer w.mu.Unlock()
	if g.ClientFailures > 0 && client.IsValid() && !exempt &&
		w.clients.count(client, g.Window/time.Duration(g.ClientFailures), now) >= g.ClientFailures {
		return false, 0, errClientGuesses
	}
	known = w.familiar.knows(a.login, client, now)
	if known && !exempt || g.LoginFailures < 0 {
		return known, 0, nil
	}
	failures := w.logins.count(a.counted(client, known), g.Window/time.Duration(g.LoginFailures), now)
	if failures >= g.LoginFailures {
		return known, 0, errLoginAttacked
	}
	beyond := time.Duration(max(0, failures-g.LoginFailures/2))
	return known, min(beyond*time.Second, maxSlow), nil
}

// counted is the key of the failures for a login that an attempt is judged by: those
// of all clients that are not familiar to it. A familiar client that is exempt may be
// one that strangers guess through, so it has its own, and no others.
func (a attempt) counted(client netip.Addr, known bool) loginKey {
	if known {
		return a.login.from(client)
	}
	return a.login
}

// settle counts what became of an attempt. Trouble of ours counts for nothing.
func (w *watch) settle(g Guard, a attempt, err error, now time.Time) {
	client, exempt := guarded(a.client), g.exempts(a.client)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		if client.IsValid() {
			w.familiar.remember(a.login, client, now)
		}
	case temporary(err):
	default:
		if g.ClientFailures > 0 && client.IsValid() && !exempt {
			w.clients.add(client, g.Window/time.Duration(g.ClientFailures), now)
		}
		if known := w.familiar.knows(a.login, client, now); g.LoginFailures > 0 && (!known || exempt) {
			w.logins.add(a.counted(client, known), g.Window/time.Duration(g.LoginFailures), now)
		}
	}
}

// enter waits for one of the turns, unless the client is favoured. leave ends it.
func (w *watch) enter(ctx context.Context, turns chan struct{}, favoured bool, client netip.Addr) (leave func(), err error) {
	if favoured {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errBusy)
	defer cancel()
	client = guarded(client)
	d := w.approach(client)
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		w.depart(client, d)
		return nil, context.Cause(ctx)
	}
	back := func() {
		<-d.slots
		w.depart(client, d)
	}
	select {
	case turns <- struct{}{}:
		return func() { <-turns; back() }, nil
	case <-ctx.Done():
		back()
		return nil, context.Cause(ctx)
	}
}

func (w *watch) approach(client netip.Addr) *door {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.doors[client]
	if d == nil {
		d = &door{slots: make(chan struct{}, perClient)}
		w.doors[client] = d
	}
	d.users++
	return d
}

func (w *watch) depart(client netip.Addr, d *door) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.users--; d.users == 0 {
		delete(w.doors, client)
	}
}

// guarded is what counts as one client: in IPv6 a customer has a /64 at least.
func guarded(client netip.Addr) netip.Addr {
	client = client.Unmap()
	if !client.Is6() {
		return client
	}
	p, _ := client.Prefix(64) // fails only for more bits than there are
	return p.Addr()
}

// temporary reports whether an error says that a password was not judged.
func temporary(err error) bool {
	var reply transport.Reply
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &reply) && reply.Code/100 == 4
}

// pause waits, but not beyond ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
