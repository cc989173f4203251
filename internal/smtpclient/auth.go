package smtpclient

import (
	"bytes"
	"context"
	"encoding/base64"

	"github.com/emersion/go-sasl"
)

// maxRounds is how many challenges are answered: no mechanism has as many.
const maxRounds = 8

// Auth authenticates us (RFC 4954). What is sent does not enter the transcript.
// The secrets are masked in all that the peer says from here on, in base64, in
// hexadecimal and in pieces too, for some peers repeat what they were told. It is for
// the caller to see that the connection is private enough.
//
// The error is a [*Refusal] with the peer's reply, an [*Error], or that of
// mechanism, which leaves the connection in order.
func (c *Client) Auth(ctx context.Context, mechanism sasl.Client, secrets ...string) (err error) {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end(ctx, &err)
	name, initial, err := mechanism.Start()
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		c.replies.secrets.add(secret)
	}
	line := "AUTH " + name
	switch {
	case initial == nil:
	case len(initial) == 0:
		line += " ="
	default:
		line += " " + c.encode(initial)
	}
	reply, err := c.ask(StepAuth, c.timeouts.Auth, line, "AUTH "+name+" ***")
	for round := 0; err == nil && reply.Code == 334; round++ {
		if round == maxRounds {
			return &Error{StepAuth, malformed("more than %d challenges", maxRounds)}
		}
		reply, err = c.answer(mechanism, reply.Text)
	}
	switch {
	case err != nil:
		return err
	case !reply.OK():
		return refusal(StepAuth, reply)
	}
	return nil
}

// answer responds to one challenge. If the mechanism cannot, the exchange is
// cancelled (RFC 4954 section 4).
func (c *Client) answer(mechanism sasl.Client, challenge string) (Reply, error) {
	decoded, err := base64.StdEncoding.DecodeString(challenge)
	var response []byte
	if err == nil {
		response, err = mechanism.Next(decoded)
	}
	if err != nil {
		if _, broke := c.ask(StepAuth, c.timeouts.Auth, "*", "*"); broke != nil {
			return Reply{}, broke
		}
		return Reply{}, err
	}
	return c.ask(StepAuth, c.timeouts.Auth, c.encode(response), "***")
}

// encode is a response as it goes on the wire. In that form it is a secret too, and
// its last word as it is: of CRAM-MD5 that is the digest.
func (c *Client) encode(response []byte) string {
	s := base64.StdEncoding.EncodeToString(response)
	c.replies.secrets.form(s)
	if i := bytes.LastIndexByte(response, ' '); i >= 0 {
		c.replies.secrets.form(string(response[i+1:]))
	}
	return s
}
