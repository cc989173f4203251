package smtpclient

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"

	"github.com/emersion/go-sasl"
)

// The mechanisms that package sasl has no client for.
const (
	CRAMMD5 = "CRAM-MD5"
	XOAuth2 = "XOAUTH2"
)

// NewLogin is the mechanism LOGIN for servers of every kind: some do not know that
// the name can come with the command and ask for it, and they ask in any words.
func NewLogin(user, password string) sasl.Client { return &login{user: user, password: password} }

type login struct {
	user, password string
	done           bool
}

// Start implements [sasl.Client].
func (l *login) Start() (string, []byte, error) { return sasl.Login, []byte(l.user), nil }

// Next implements [sasl.Client].
func (l *login) Next(challenge []byte) ([]byte, error) {
	switch {
	case l.done:
		return nil, sasl.ErrUnexpectedServerChallenge
	case bytes.HasPrefix(bytes.ToLower(challenge), []byte("user")):
		return []byte(l.user), nil
	}
	l.done = true
	return []byte(l.password), nil
}

// NewCRAMMD5 is the mechanism CRAM-MD5 (RFC 2195). It hides the password from who
// listens, and nothing else: without TLS it is no more private than others, for the
// password can be guessed at leisure.
func NewCRAMMD5(user, password string) sasl.Client { return &cramMD5{user: user, password: password} }

type cramMD5 struct {
	user, password string
	done           bool
}

// Start implements [sasl.Client].
func (c *cramMD5) Start() (string, []byte, error) { return CRAMMD5, nil, nil }

// Next implements [sasl.Client].
func (c *cramMD5) Next(challenge []byte) ([]byte, error) {
	if c.done {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	c.done = true
	digest := hmac.New(md5.New, []byte(c.password))
	digest.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(digest.Sum(nil))), nil
}

// NewXOAuth2 is the mechanism XOAUTH2 of Google and Microsoft, for an access token of
// OAuth 2.0. What the server says of a token it does not take is answered with
// nothing; the refusal follows.
func NewXOAuth2(user, token string) sasl.Client { return &xoauth2{user: user, token: token} }

type xoauth2 struct {
	user, token string
	done        bool
}

// Start implements [sasl.Client].
func (x *xoauth2) Start() (string, []byte, error) {
	return XOAuth2, []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next implements [sasl.Client].
func (x *xoauth2) Next([]byte) ([]byte, error) {
	if x.done {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	x.done = true
	return nil, nil
}
