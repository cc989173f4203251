package sendmail

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/internal/smtpclient"
)

// How long the server may take before the maildrop is used. The caller is a web
// page that waits.
const (
	dialTimeout  = 300 * time.Millisecond
	greetTimeout = 500 * time.Millisecond
	replyTimeout = 10 * time.Second
	dataTimeout  = 60 * time.Second
)

func timeouts() smtpclient.Timeouts {
	return smtpclient.Timeouts{
		Greeting: greetTimeout, Hello: greetTimeout,
		Mail: replyTimeout, Rcpt: replyTimeout, Data: replyTimeout, Reset: replyTimeout,
		Block: replyTimeout, Dot: dataTimeout, Quit: greetTimeout,
	}
}

// submit hands the message to the server, or to the maildrop if the server is not
// there or says "later".
func (r *run) submit(ctx context.Context, m *message) error {
	later, refused := r.offer(ctx, m)
	if len(later) == 0 {
		return refused
	}
	e := maildrop.Envelope{
		Submission: m.submission, From: m.from, To: later,
		Notify: m.notify, Ret: m.ret, EnvID: m.envID, Size: m.spool.size,
	}
	err := maildrop.Box{Dir: r.place.maildrop}.Write(r.env.Getuid(), e, m.spool.content())
	if err != nil {
		return errors.Join(refused, failf(ExitTempFail, "no server at %s, and %v", r.place.socket, err))
	}
	return refused
}

// offer sends the message to the server. later are the recipients that the server
// did not answer for, for whatever reason; refused tells of those it will
// never take.
func (r *run) offer(ctx context.Context, m *message) (later []string, refused error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", r.place.socket)
	if err != nil {
		return m.to, nil
	}
	return r.offerTo(ctx, conn, m)
}

// offerTo is offer to the server at the other end of conn.
func (r *run) offerTo(ctx context.Context, conn net.Conn, m *message) (later []string, refused error) {
	c, err := smtpclient.Greet(ctx, conn, smtpclient.Options{HELO: r.helo(), Timeouts: timeouts()})
	if no := (*smtpclient.Refusal)(nil); errors.As(err, &no) && no.Reply.Code/100 == 5 {
		return nil, failf(statusOf(no.Reply), "%v", no.Reply) // the maildrop would not help
	}
	if err != nil {
		return m.to, nil
	}
	defer c.Quit()
	e := smtpclient.Envelope{From: m.from, Size: m.spool.size, EightBit: m.spool.eightBit, Ret: m.ret, EnvID: m.envID}
	for _, to := range m.to {
		e.To = append(e.To, smtpclient.Recipient{Address: to, Notify: m.notify})
	}
	result, err := c.Send(ctx, e, m.spool.content())
	if unfit := (*smtpclient.Unsendable)(nil); errors.As(err, &unfit) {
		return nil, failf(statusOf(unfit.Reply), "%v", unfit.Reply)
	}
	if wrong := (*smtpclient.AddressError)(nil); errors.As(err, &wrong) {
		return nil, failf(ExitData, "%v", wrong)
	}
	return sort(m, &result)
}

// sort tells what became of each recipient.
func sort(m *message, result *smtpclient.Result) (later []string, refused error) {
	for i, to := range m.to {
		switch reply := result.Reply(i); {
		case reply.OK():
		case reply.Code/100 == 5:
			refused = errors.Join(refused, failf(statusOf(reply), "%s: %v", to, reply))
		default:
			later = append(later, to)
		}
	}
	return later, refused
}

// statusOf is the exit status for a refusal for good.
func statusOf(r smtpclient.Reply) int {
	switch {
	case r.Enhanced[1] == 1:
		return ExitNoUser
	case r.Enhanced[1] == 6:
		return ExitData
	case r.Enhanced[1] == 7:
		return ExitNoPerm
	}
	return ExitUnavailable
}
