package mailcore

import (
	"context"
	"errors"

	"github.com/emersion/go-sasl"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// An Authenticator says whose name and password these are. For anything but a
// right password it returns an error; the client sees the same refusal for all
// of them.
type Authenticator interface {
	Authenticate(ctx context.Context, name, password string) (Identity, error)
}

// AuthenticatorFunc is a function that is an [Authenticator].
type AuthenticatorFunc func(ctx context.Context, name, password string) (Identity, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, name, password string) (Identity, error) {
	return f(ctx, name, password)
}

// An Identity is who authenticated, and the site that answers for it.
type Identity struct {
	Login string
	Site  string
}

// siteLogins are the logins kept in the settings.
func siteLogins(s *sites.Sites) Authenticator {
	return AuthenticatorFunc(func(ctx context.Context, name, password string) (Identity, error) {
		login, err := s.Authenticate(ctx, name, password)
		if err != nil {
			return Identity{}, err
		}
		return Identity{Login: login.Name, Site: login.Site}, nil
	})
}

// mechanisms are those that saslServer knows.
func mechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// saslServer runs one exchange; done is told who it was.
func saslServer(ctx context.Context, a Authenticator, mech string, done func(Identity)) (sasl.Server, error) {
	check := func(name, password string) error {
		id, err := a.Authenticate(ctx, name, password)
		if err != nil {
			return err
		}
		done(id)
		return nil
	}
	switch mech {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, name, password string) error {
			if identity != "" && identity != name {
				return errors.New("authorization identity differs from the login")
			}
			return check(name, password)
		}), nil
	case sasl.Login:
		return newLoginServer(check), nil
	}
	return nil, errors.New("no such mechanism")
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
