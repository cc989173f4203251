package queue

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A Message is what Enqueue takes beside the content.
type Message struct {
	// ID is the queue ID, made by [NewID] so that it could be written into the
	// content; if "", one is made.
	ID string

	// Envelope has at least one and at most 50,000 recipients.
	Envelope transport.Envelope

	// Origin says who handed the message in. Its site takes turns with other
	// sites where they share a lane.
	Origin transport.Origin

	// Priority says what it goes before, where mail waits in one lane. What goes
	// first among mail of one priority is said in the package's overview.
	Priority Priority

	// Hold is the reason for which the message is stored on hold; if "", it is
	// delivered.
	Hold string

	// NotBefore is when the message is first due, at most a year ahead; zero, or
	// an instant that is past: at once. Its expiry and its delay warning count
	// from then. [Queue.Retry] and [Queue.Requeue] go before it.
	NotBefore time.Time

	// Lifetime is how long the message is tried, and stays so when it is requeued;
	// more than 30 days count as 30 days. If zero, [Options.Lifetime], or
	// [Options.BounceLifetime] for the null reverse-path; if negative, one
	// attempt.
	Lifetime time.Duration

	// Key makes handing the message in safe to repeat. For seven days after a
	// message was stored under a key, whatever has become of it, the same key with
	// the same envelope and content stores nothing and gets the queue ID of the
	// first; with others it gets [ErrKeyReused]. Each site, as Origin.Site has it,
	// has its own keys, of 1 to 255 octets. If "", the message is a new one.
	//
	// What the queue or the desk adds, as Head does, and the times of this Message
	// are no part of the comparison.
	Key string

	// Fingerprint stands for the envelope in that comparison, where it is not as
	// it was handed in. If nil, the envelope itself.
	Fingerprint []byte

	// Signed are names, up to 255 printable ASCII characters without blanks, of what
	// must be kept for as long as the message is in the queue, because of the
	// signatures in it: [Queue.Signed] tells which are in use.
	Signed []string

	// Head, if set, is called once, when the content has been read to its end.
	// What it returns stands above the content: fields that depend on all of it,
	// such as signatures. It must be header fields with CRLF line ends.
	Head func() ([]byte, error)
}

const (
	maxRecipients = 50_000 // keeps one message from filling a transaction
	maxAhead      = 366 * day
	maxLifetime   = 30 * day
)

// ErrInvalid says that a [Message] cannot be one; the error's text says why.
var ErrInvalid = errors.New("queue: no valid message")

func (m *Message) check() error {
	var errs []error
	if m.ID != "" && !validID(m.ID) {
		errs = append(errs, fmt.Errorf("queue ID %q was not made by NewID", m.ID))
	}
	if !m.Priority.valid() {
		errs = append(errs, fmt.Errorf("priority %d is none", m.Priority))
	}
	switch n := len(m.Envelope.Recipients); {
	case n == 0:
		errs = append(errs, errors.New("no recipient"))
	case n > maxRecipients:
		errs = append(errs, fmt.Errorf("%d recipients: at most %d", n, maxRecipients))
	}
	for _, r := range m.Envelope.Recipients {
		if r.Address == "" || strings.ContainsAny(r.Address, "\r\n\x00") {
			errs = append(errs, fmt.Errorf("recipient %q is no address", r.Address))
		}
	}
	if strings.ContainsAny(m.Envelope.ReversePath, "\r\n\x00") {
		errs = append(errs, fmt.Errorf("reverse-path %q is no address", m.Envelope.ReversePath))
	}
	if err := checkKey(m.Key); err != nil {
		errs = append(errs, err)
	}
	if err := checkSigned(m.Signed); err != nil {
		errs = append(errs, err)
	}
	if time.Until(m.NotBefore) > maxAhead {
		errs = append(errs, fmt.Errorf("not before %v: at most a year ahead", m.NotBefore))
	}
	return errors.Join(errs...)
}

// idAlphabet has no vowels, so that no word appears by accident, and is in
// ASCII order, so that IDs sort by time.
const idAlphabet = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"

// An ID is nine digits of microseconds since idEpoch, enough until 2088, and
// seven random ones.
const (
	idTime   = 9
	idRandom = 7
	idEpoch  = 946684800_000_000 // 2000-01-01
)

// NewID makes a queue ID: 16 letters and digits without vowels, in the manner
// of Postfix's long queue IDs. IDs sort by time, and none is ever made twice:
// those of one microsecond differ in 40 random bits.
func NewID(now time.Time) string {
	var id [idTime + idRandom]byte
	encodeID(id[:idTime], uint64(max(0, now.UnixMicro()-idEpoch)))
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails: see crypto/rand
	encodeID(id[idTime:], binary.NativeEndian.Uint64(random[:]))
	return string(id[:])
}

func encodeID(dst []byte, n uint64) {
	const base = uint64(len(idAlphabet))
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = idAlphabet[n%base]
		n /= base
	}
}

func validID(id string) bool {
	if len(id) != idTime+idRandom {
		return false
	}
	for i := range len(id) {
		if strings.IndexByte(idAlphabet, id[i]) < 0 {
			return false
		}
	}
	return true
}
