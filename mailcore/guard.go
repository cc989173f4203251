package mailcore

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"
)

// Guard bounds how often passwords may be guessed, over all connections.
//
// A client is an IPv4 address or an IPv6 /64 network. One that has sent too many
// wrong passwords gets 421 and its connection is closed: nothing it says now
// would be judged, and the connection is better spent on somebody else. A login
// that too many wrong passwords were tried for is first slow to answer and then
// gets 454, with which mail clients try later instead of asking for another
// password, for everybody but the clients that have logged in there in the last
// 30 days since the server was started: their owner goes on working through an
// attack. In both cases the password is not looked at, and a name that is no
// login is treated as one.
//
// What is counted is in memory, bounded, and forgotten little by little.
type Guard struct {
	// ClientFailures is how many wrong passwords one client may send within
	// Window. If zero, 10; if negative, any number.
	ClientFailures int

	// LoginFailures is how many wrong passwords may be tried for one name within
	// Window by clients that have not logged in there. From half of them on
	// answers take seconds. If zero, 20; if negative, any number.
	LoginFailures int

	// Window is how long it takes until as many failures are forgotten: each
	// takes its part of it. If zero, 15 minutes.
	Window time.Duration

	// Checks is how many passwords of clients that have not logged in before are
	// checked at once, so that a flood leaves processors to others. If zero, one
	// less than there are processors, but at least one, for the logins kept in
	// Sites, and 32 with an Authenticator.
	Checks int

	// Exempt are networks whose failures count for the login, but not for the
	// client: a web mail server speaks for many. Its attempts wait for no turn.
	// LoginFailures bounds those of a client that has logged in there, too, but
	// then they count for nobody else, and those of others not for it.
	Exempt []netip.Prefix
}

func (g Guard) check() (problems []error) {
	if g.Window < 0 {
		problems = append(problems, errors.New("Guard.Window cannot be negative"))
	}
	if g.Checks < 0 {
		problems = append(problems, errors.New("Guard.Checks cannot be negative"))
	}
	for _, p := range g.Exempt {
		if !p.IsValid() || p != p.Masked() {
			problems = append(problems, fmt.Errorf("Guard.Exempt: %v is no network", p))
		}
	}
	return problems
}

// withDefaults fills the zero fields. elsewhere says that it is not this process
// that computes the hashes.
func (g Guard) withDefaults(elsewhere bool) Guard {
	g.Exempt = unmapped(g.Exempt)
	setDefault(&g.ClientFailures, 10)
	setDefault(&g.LoginFailures, 20)
	setDefault(&g.Window, 15*time.Minute)
	if elsewhere {
		setDefault(&g.Checks, 32)
	}
	setDefault(&g.Checks, max(1, runtime.GOMAXPROCS(0)-1))
	return g
}

func (g Guard) exempts(client netip.Addr) bool { return inAny(g.Exempt, client) }
