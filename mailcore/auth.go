package mailcore

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-sasl"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// An Authenticator says whose name and password these are. For anything but a
// right password it returns an error; the client sees the same refusal for all
// of them, but for a [transport.Reply] of class 4 and the end of ctx: those say
// that the password was not judged, and count for nothing in the [Guard].
//
// It is called from many goroutines at once, of clients that have not logged in
// before as Guard.Checks says.
type Authenticator interface {
	Authenticate(ctx context.Context, name, password string) (Identity, error)
}

// AuthenticatorFunc is a function that is an [Authenticator].
type AuthenticatorFunc func(ctx context.Context, name, password string) (Identity, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, name, password string) (Identity, error) {
	return f(ctx, name, password)
}

// An Identity is who authenticated, and the site that answers for it. Login must be
// set: without it nobody is logged in, and the client is told to try later. If Site is
// empty, it is the one that has the domain of Login, if that is an address. A site that
// is not among those of the settings may not send: its mail would have nothing to go by.
// If no site has the domain, the login may send with its own address alone, and nothing
// of it is signed.
type Identity struct {
	Login string
	Site  string
}

// An authAddr is the key of the client's address in a context.
type authAddr struct{}

// ClientAddr is the address of the client whose password an [Authenticator] is
// asked about, from the context that it is given; not valid if it has none.
func ClientAddr(ctx context.Context) netip.Addr {
	client, _ := ctx.Value(authAddr{}).(netip.Addr)
	return client
}

// siteLogins are the logins kept in the settings. Trouble of ours is a temporary
// reply: nobody is to be told that a password is wrong because a disk is slow.
func siteLogins(s *sites.Sites, realm string) Authenticator {
	return AuthenticatorFunc(func(ctx context.Context, name, password string) (Identity, error) {
		name, err := inRealm(ctx, s, name, realm)
		if err != nil {
			return Identity{}, authTrouble(err)
		}
		login, err := s.Authenticate(ctx, name, password)
		switch {
		case err == nil:
			return Identity{Login: login.Name, Site: login.Site}, nil
		case errors.Is(err, sites.ErrBadCredentials):
			return Identity{}, err
		}
		return Identity{}, authTrouble(err)
	})
}

// inRealm is the login that a name stands for: its own if there is one, else that of
// the name in the default realm.
func inRealm(ctx context.Context, s *sites.Sites, name, realm string) (string, error) {
	if realm == "" || name == "" || strings.Contains(name, "@") {
		return name, nil
	}
	_, err := s.Login(ctx, name)
	switch {
	case errors.Is(err, sites.ErrNotFound):
		return name + "@" + realm, nil
	case errors.Is(err, sites.ErrInvalid):
		return name, nil // and nobody's
	}
	return name, err
}

func authTrouble(err error) error {
	return fmt.Errorf("%w: %w", transport.Replyf(454, "4.7.0", "Temporary authentication failure"), err)
}

// mechanisms are those that an exchange knows.
func mechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// An exchange is one AUTH command of a client (RFC 4954).
type exchange struct {
	desk      *desk
	client    netip.Addr
	mechanism string
	name      string // once it is known
	mech      sasl.Server
}

// exchange begins an exchange; done is told who it was.
func (s *desk) exchange(ctx context.Context, client netip.Addr, mechanism string, done func(Identity)) (sasl.Server, error) {
	e := &exchange{desk: s, client: client, mechanism: mechanism}
	check := func(name, password string) error {
		e.name = name
		who, err := s.authenticate(ctx, attempt{client: client, name: name, password: password})
		if err == nil {
			err = s.letIn(ctx, who)
		}
		if err == nil {
			done(who)
		}
		return err
	}
	switch mechanism {
	case sasl.Plain:
		e.mech = sasl.NewPlainServer(func(identity, name, password string) error {
			if identity != "" && identity != name {
				e.name = name
				return errors.New("authorization identity differs from the login")
			}
			return check(name, password)
		})
	case sasl.Login:
		e.mech = newLoginServer(check)
	default:
		return nil, errors.New("no such mechanism")
	}
	return e, nil
}

// errSuspended says that the password is right and does not help. No client is
// blamed for it: the log has no line about a failure.
var errSuspended = errors.New("the site is suspended")

// letIn refuses the logins of a suspended site.
func (s *desk) letIn(ctx context.Context, who Identity) error {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return authTrouble(err)
	}
	if site, ok := settings.Site(who.Site); ok && site.Suspended {
		return errSuspended
	}
	return nil
}

// Next implements sasl.Server. The error is a reply if the password was not
// judged or the account is disabled, else it is the same as for any other wrong password. Each is logged
// once, here.
func (e *exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = e.mech.Next(response)
	if err == nil {
		return challenge, done, nil
	}
	if errors.Is(err, errSuspended) {
		e.desk.config.Log.Info("a login of a suspended site was refused", "login", legible(e.name, maxLoggedName))
		return nil, true, transport.Replyf(525, "5.7.13", "Error: account disabled")
	}
	reason, reply := "authentication failure", error(errWrongPassword)
	switch {
	case errors.Is(err, errClientGuesses):
		reason = "too many failures from this address"
		reply = transport.Replyf(421, "4.7.0", "%s Error: too many failed logins from %s", e.desk.config.Hostname, e.client)
	case errors.Is(err, errLoginAttacked):
		reason = "too many failures for this login"
		reply = transport.Replyf(454, "4.7.0", "Temporary authentication failure")
	case errors.Is(err, errBusy):
		reason = "too many others are waiting"
		reply = transport.Replyf(454, "4.7.0", "Temporary authentication failure")
	case temporary(err):
		reason, reply = "temporary failure", err
		e.desk.config.Log.Error("a password could not be checked", "error", err)
	}
	e.log(reason)
	return nil, true, reply
}

// log writes the line about a refused attempt, in the words of Postfix, which
// programs that ban addresses know. The name comes last: it may hold anything.
func (e *exchange) log(reason string) {
	client, name := "unknown", "(unavailable)"
	if e.client.IsValid() {
		client = e.client.String()
	}
	if e.name != "" {
		name = legible(e.name, maxLoggedName)
	}
	e.desk.config.Log.Warn(fmt.Sprintf("warning: unknown[%s]: SASL %s authentication failed: %s, sasl_username=%s",
		client, e.mechanism, reason, name))
}

// maxLoggedName bounds what is logged of a name, in octets.
const maxLoggedName = 100

// legible is s cut to an octet limit, on one line.
func legible(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}

// loginServer is the LOGIN mechanism, which has no RFC: the server asks for a
// name, then for a password.
type loginServer struct {
	check func(name, password string) error
	name  string
	step  int
}

func newLoginServer(check func(name, password string) error) sasl.Server {
	return &loginServer{check: check}
}

// Next implements sasl.Server. Some clients send the name with the command.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.step == 0 && response == nil {
		l.step = 1
		return []byte("Username:"), false, nil
	}
	if l.step <= 1 {
		l.step, l.name = 2, string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.name, string(response))
}
