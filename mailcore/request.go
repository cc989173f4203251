package mailcore

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/panelmail/panelmail/internal/rfc5322"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A request is what a submitter asks of the queue.
type request struct {
	key         string
	fingerprint []byte
	notBefore   time.Time
	lifetime    time.Duration
	priority    queue.Priority
}

// requestOf is what m asks. A message handed in once more is known by what was
// handed in: the desk may make other recipients of it the second time.
func requestOf(m *Message) request {
	return request{
		key:         m.Key,
		fingerprint: fmt.Appendf(nil, "%q %q %q %q %d", m.ReversePath, m.Recipients, m.EnvID, m.Ret, m.Notify),
		notBefore:   m.NotBefore, lifetime: m.Lifetime, priority: m.Priority,
	}
}

// maxSubmission bounds a submission ID, in octets.
const maxSubmission = 100

// once gives a draft from our sendmail command a key, so that a message that came
// over the socket and, because the answer was lost, through the maildrop too, is
// stored once. What came for other recipients is another message: the command
// leaves those in the maildrop that the socket did not answer for.
func (d *draft) once(header *rfc5322.Header) {
	id := plainText(header.Get(submissionField), maxSubmission)
	if d.origin.Via != transport.ViaSendmail || id == "" {
		return
	}
	sum := sha256.New()
	for _, r := range d.envelope.Recipients {
		fmt.Fprintf(sum, "%q\n", r.Address)
	}
	d.request.key = fmt.Sprintf("sendmail %s %x", id, sum.Sum(nil))
	d.request.fingerprint = []byte(id)
}
