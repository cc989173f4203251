package transport

import (
	"context"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// A Tokener gets access tokens of OAuth 2.0, for credentials that have nothing else
// (see [Credential.OAuth]). It is asked at each login, from many goroutines, and
// should keep tokens itself while they are good. The text of an error is neither
// shown nor logged, for it may tell a secret.
type Tokener interface {
	Token(ctx context.Context, r TokenRequest) (string, error)
}

// TokenerFunc is a function that is a [Tokener].
type TokenerFunc func(ctx context.Context, r TokenRequest) (string, error)

// Token calls f.
func (f TokenerFunc) Token(ctx context.Context, r TokenRequest) (string, error) { return f(ctx, r) }

// A TokenRequest says what a token is for.
type TokenRequest struct {
	User string // of the credential
	Host string // the name of the host to log in at

	// Rejected is the token that the host has just refused; empty the first
	// time. A new one is tried once, on the same connection.
	Rejected string
}

// errNoToken stands for whatever went wrong with a [Tokener].
var errNoToken = errors.New("no access token can be had")

// authenticate logs in, over TLS alone, with PLAIN, else LOGIN, else CRAM-MD5, or with
// a token by XOAUTH2. A refusal never fails the message: the password is ours, and may
// be set right. After one there is no login for a while: see logins.
func (o *opening) authenticate(ctx context.Context, c *smtpclient.Client) Outcome {
	offered, _ := c.Ext("AUTH")
	name := mechanism(o.d.Plan.Credential, offered)
	if c.TLSState() == nil || name == "" {
		return o.unproven(deferral("4.7.0", "SASL authentication failed: server %s offered no compatible authentication "+
			"mechanisms for this type of connection security", o.h))
	}
	key := o.loginKey()
	if out := o.s.logins.enter(ctx, key); out.Reply.Code != 0 {
		return o.unproven(out)
	}
	err := o.login(ctx, c, name)
	var (
		refused *smtpclient.Refusal
		broke   *smtpclient.Error
	)
	switch {
	case err == nil:
		o.s.logins.accepted(key)
		return Outcome{}
	case errors.As(err, &refused):
		out := o.unproven(deferral("4.7.0", "SASL authentication failed; server %s said: %s", o.h, refused.Reply))
		if refused.Reply.Code/100 == 4 { // of this host alone
			o.s.logins.leave(key)
			key.host = o.h.String()
		}
		o.s.logins.refused(key, out)
		return out
	}
	o.s.logins.leave(key)
	if errors.As(err, &broke) {
		return o.broken(err, c.Transcript())
	}
	return o.unproven(deferral("4.7.0", "SASL authentication failed: %v", err))
}

// mechanism is the best mechanism that a server offers for a credential, "" if there
// is none.
func mechanism(c Credential, offered string) string {
	ours := []string{sasl.Plain, sasl.Login, smtpclient.CRAMMD5}
	if c.OAuth {
		ours = []string{smtpclient.XOAuth2}
	}
	theirs := strings.Fields(strings.ToUpper(offered))
	for _, name := range ours {
		for _, other := range theirs {
			if name == other {
				return name
			}
		}
	}
	return ""
}

// login is one login, or two if the token of the first was out of date.
func (o *opening) login(ctx context.Context, c *smtpclient.Client, name string) error {
	credential := o.d.Plan.Credential
	switch name {
	case sasl.Plain:
		return c.Auth(ctx, sasl.NewPlainClient("", credential.User, credential.Password), credential.Password)
	case sasl.Login:
		return c.Auth(ctx, smtpclient.NewLogin(credential.User, credential.Password), credential.Password)
	case smtpclient.CRAMMD5:
		return c.Auth(ctx, smtpclient.NewCRAMMD5(credential.User, credential.Password), credential.Password)
	}
	token, err := o.token(ctx, "")
	if err != nil {
		return err
	}
	err = c.Auth(ctx, smtpclient.NewXOAuth2(credential.User, token), token)
	var refused *smtpclient.Refusal
	if !errors.As(err, &refused) || refused.Reply.Code/100 != 5 || !c.Reusable() {
		return err
	}
	fresh, failed := o.token(ctx, token)
	if failed != nil || fresh == token {
		return err
	}
	return c.Auth(ctx, smtpclient.NewXOAuth2(credential.User, fresh), fresh)
}

// token is the token of the credential, or one that is got for it.
func (o *opening) token(ctx context.Context, rejected string) (string, error) {
	credential := o.d.Plan.Credential
	if credential.Password != "" {
		return credential.Password, nil
	}
	if o.s.Tokens == nil {
		return "", errNoToken
	}
	token, err := o.s.Tokens.Token(ctx, TokenRequest{User: credential.User, Host: o.h.name, Rejected: rejected})
	if err != nil || token == "" || strings.ContainsAny(token, "\x00\x01\r\n") {
		return "", errNoToken
	}
	return token, nil
}

// unproven marks an outcome as trouble with this credential. Others get along with the
// host, so that the destination must not suffer for it.
func (o *opening) unproven(out Outcome) Outcome {
	out = o.said(out)
	out.Local, out.Destination = true, false
	return out
}

func (o *opening) loginKey() loginKey {
	return loginKey{credential: o.d.Plan.Credential.conceal(), nexthop: o.d.Plan.nexthopKey()}
}

// barred is the outcome of a host where there is to be no login now; without a reply
// it may be connected to.
func (o *opening) barred() Outcome {
	if o.d.Plan.Credential == (Credential{}) || o.h.socket != "" {
		return Outcome{}
	}
	key := o.loginKey()
	out := o.s.logins.barred(key)
	if out.Reply.Code == 0 {
		key.host = o.h.String()
		out = o.s.logins.barred(key)
	}
	return out
}
