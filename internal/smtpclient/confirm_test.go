package smtpclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestAReplyTooManyBouncesNobody plays servers that answer a command twice, and
// servers that refuse DATA in earnest.
func TestAReplyTooManyBouncesNobody(t *testing.T) {
	const batch = hello + "C: *\nC: *\nC: *\nC: *\n" // MAIL, two RCPT, DATA
	tests := map[string]struct {
		script string
		want   string // the codes of Reply(0) and Reply(1), and how Send ended
	}{
		"MAIL twice, the second recipient refused": {
			batch + "S: 250 mail\nS: 250 stray\nS: 250 one\nS: 550 5.1.1 two\nC: RSET\nS: 354 go\nsilent", "0 0 protocol error at DATA"},
		"MAIL twice, the 354 comes at once": {
			batch + "S: 250 mail\nS: 250 stray\nS: 250 one\nS: 550 5.1.1 two\nS: 354 go\nsilent", "0 0 protocol error at DATA"},
		"MAIL twice, the first recipient refused": {
			batch + "S: 250 mail\nS: 250 stray\nS: 550 5.1.1 one\nS: 250 two\nsilent", "0 0 protocol error at DATA"},
		"MAIL twice, both refused": {
			batch + "S: 250 mail\nS: 250 stray\nS: 550 one\nS: 450 two\nC: RSET\nS: 554 5.5.1 no valid recipients\nsilent", "0 0 protocol error at DATA"},
		"MAIL twice, both accepted": {
			batch + "S: 250 mail\nS: 250 stray\nS: 250 one\nS: 250 two\nsilent", "0 0 protocol error at DATA"},
		"a refusal too many": {
			batch + "S: 250 mail\nS: 550 stray\nS: 550 one\nS: 450 two\nC: RSET\nS: 503 no\nsilent", "0 0 protocol error at DATA"},
		"the first recipient twice": {
			batch + "S: 250 mail\nS: 250 one\nS: 250 one\nS: 552 5.2.2 two\nC: RSET\nS: 354 go\nsilent", "0 0 protocol error at DATA"},
		"MAIL twice, and the connection breaks": {
			batch + "S: 250 mail\nS: 250 stray\nS: 550 one\nclose", "0 0 EOF at DATA"},
		"MAIL twice, and it breaks after the last": {
			batch + "S: 250 mail\nS: 250 stray\nS: 250 one\nS: 550 two\nC: RSET\nclose", "0 0 EOF at RSET"},
		"without pipelining": {
			plainHello + "C: *\nS: 250 mail\nC: *\nS: 250 stray\nC: *\nS: 250 one\nC: DATA\nS: 550 two\nC: RSET\nS: 354 go\nsilent", "0 0 protocol error at DATA"},

		"DATA refused for good": {
			batch + "S: 250 mail\nS: 250 one\nS: 550 two\nS: 554 5.7.1 spam\nC: RSET\nS: 250 ok\nC: QUIT", "554 550 done"},
		"DATA refused for now, a recipient for good": {
			batch + "S: 250 mail\nS: 250 one\nS: 550 two\nS: 451 busy\nC: RSET\nS: 250 ok\nC: QUIT", "451 550 done"},
		"DATA refused for now": {
			batch + "S: 250 mail\nS: 250 one\nS: 450 two\nS: 451 busy\nC: QUIT", "451 450 done"},
		"DATA refused for good, and closed": {
			batch + "S: 250 mail\nS: 250 one\nS: 550 two\nS: 554 5.7.1 spam\nC: RSET\nclose", "0 0 EOF at RSET"},
		"DATA refused for good, and 421": {
			batch + "S: 250 mail\nS: 250 one\nS: 550 two\nS: 554 5.7.1 spam\nC: RSET\nS: 421 bye", "0 0 EOF at RSET"},
		"no recipient: 503": {
			batch + "S: 250 mail\nS: 550 one\nS: 550 two\nS: 503 no\nC: QUIT", "550 550 done"},
		"no recipient: 554 5.5.1": {
			batch + "S: 250 mail\nS: 550 one\nS: 550 two\nS: 554 5.5.1 no\nC: QUIT", "550 550 done"},
		"no recipient: another code": {
			batch + "S: 250 mail\nS: 550 one\nS: 450 two\nS: 550 no\nC: RSET\nS: 250 ok\nC: QUIT", "550 450 done"},
		"no recipient, and closed": {
			batch + "S: 250 mail\nS: 550 one\nS: 550 two\nS: 550 no\nC: RSET\nclose", "550 550 closed"},
		"no recipient, and 421": {
			batch + "S: 250 mail\nS: 550 one\nS: 550 two\nS: 550 no\nC: RSET\nS: 421 bye", "550 550 closed"},
		"MAIL refused, and closed": {
			batch + "S: 550 mail\nclose", "550 550 EOF at RCPT TO"},
		"a recipient refused, and content": {
			batch + "S: 250 mail\nS: 250 one\nS: 550 two\nS: 354 go\ncontent\nS: 250 ok\nC: QUIT", "250 550 done"},
		"a recipient refused, and content broken off": {
			batch + "S: 250 mail\nS: 250 one\nS: 550 two\nS: 354 go\ncontent\nclose", "0 550 EOF at end of data"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := start(t, test.script)
				res, err := send(c, text, "one@mx.test", "two@mx.test")
				got := fmt.Sprintf("%d %d ", res.Reply(0).Code, res.Reply(1).Code)
				broken := &Error{Err: errors.New("closed")}
				switch {
				case errors.Is(err, ErrProtocol):
					got += "protocol error at " + string(step(err))
				case errors.As(err, &broken):
					got += strings.TrimPrefix(fmt.Sprint(broken.Err), "unexpected ") + " at " + string(broken.Step)
				case c.Reusable():
					got += "done"
				default:
					got += "closed"
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s%v", diff, err)
				}
				c.Quit()
				p.end(t)
			})
		})
	}
}

func TestARefusedDATAIsResetOnce(t *testing.T) {
	p, c := start(t, hello+`
		C: *
		C: *
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 554 5.7.1 no
		C: RSET
		S: 250 ok
		C: MAIL FROM:<a@us.test>
		C: *
		C: *
		S: 250 ok
		S: 250 ok
		S: 354 go
		content
		S: 250 ok`)
	for _, want := range []int{554, 250} {
		if res, err := send(c, text, "b@mx.test"); err != nil || res.Reply(0).Code != want {
			t.Errorf("%+v, %v, want %d", res, err, want)
		}
	}
	p.end(t)
}
