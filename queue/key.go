package queue

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// ErrKeyReused says that another message was stored under the same
// [Message.Key]. Nothing was stored.
var ErrKeyReused = errors.New("queue: the key belongs to another message")

const (
	maxKey  = 255
	keyLife = 7 * day
)

func checkKey(key string) error {
	if len(key) > maxKey || strings.IndexByte(key, 0) >= 0 {
		return fmt.Errorf("key of %d octets: at most %d, and no NUL", len(key), maxKey)
	}
	return nil
}

// A keyed sum is what a message with a key is known by: the envelope, or what
// stands for it, and the content as it is read.
type keyed struct{ hash.Hash }

// newKeyed begins the sum of a message; nil if it has no key.
func newKeyed(m *Message) *keyed {
	if m.Key == "" {
		return nil
	}
	k := &keyed{sha256.New()}
	if m.Fingerprint != nil {
		fmt.Fprintf(k, "fingerprint %x\n", m.Fingerprint)
		return k
	}
	v := &m.Envelope
	fmt.Fprintf(k, "%q %t %q %q %q %t\n", v.ReversePath, v.SMTPUTF8, v.Body, v.Ret, v.EnvID, v.RequireTLS)
	for _, r := range v.Recipients {
		// Not the reverse-path of its own, which a rewriting makes anew each day.
		fmt.Fprintf(k, "%q %d %q\n", r.Address, r.Notify, r.ORcpt)
	}
	fmt.Fprintln(k)
	return k
}

// of has content summed as it is read.
func (k *keyed) of(content io.Reader) io.Reader {
	if k == nil {
		return content
	}
	return io.TeeReader(content, k)
}

// seal puts the sum of what was read into the record.
func (k *keyed) seal(r *record, key string) {
	if k != nil {
		r.key, r.sum, r.keyUntil = key, k.Sum(nil), r.arrived+keyLife.Microseconds()
	}
}

// forgetEvery is how often keys are looked at whose time is over.
const forgetEvery = 6 * time.Hour

// forgetKeys removes keys whose time is over, a step to a commit.
func (s *scheduler) forgetKeys(ctx context.Context) {
	for {
		more, err := s.q.store.forgetKeys(ctx, micros(time.Now()))
		if err != nil && ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "old keys not removed", "error", err)
		}
		if more && err == nil {
			continue
		}
		if pause(ctx, forgetEvery) != nil {
			return
		}
	}
}
