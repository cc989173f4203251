package queuetest

import (
	"errors"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var keyCases = []testCase{
	{name: "AMessageHandedInTwiceIsStoredOnce", run: sameKey},
	{name: "AKeyBelongsToOneMessage", run: reusedKey},
	{name: "AKeyIsKeptForSevenDaysWhateverHappens", run: keyLife},
	{name: "ALargeMessageHandedInTwiceIsStoredOnce", run: largeKey},
	{name: "HandedInTwiceAtOnceItIsStoredOnce", run: racingKey},
	{name: "AKeyThatIsTooLongIsRefused", run: longKey},
}

func keyed(key string) queue.Message {
	m := message("alice@site.test", "bob@far.test")
	m.Key = key
	return m
}

func sameKey(l *lab) {
	id := l.enqueue(keyed("order 17"), "Subject: hello\r\n\r\nhello\r\n")
	for name, m := range map[string]queue.Message{"as it was": keyed("order 17"), "with a head": keyed("order 17"), "of other times": keyed("order 17")} {
		content := "Subject: hello\r\n\r\nhello\r\n"
		switch name {
		case "with a head":
			m.ID = queue.NewID(time.Now())
			m.Head = func() ([]byte, error) { return []byte("Received: now\r\n"), nil }
			content = strings.ReplaceAll(content, "\r\n", "\n")
		case "of other times":
			m.NotBefore, m.Lifetime = l.start.Add(time.Hour), time.Hour
			m.Envelope.Recipients[0].ReversePath = "srs0=aaaa=bb@site.test"
		}
		if again := l.enqueue(m, content); again != id {
			l.Errorf("%s it got the ID %s, and first %s", name, again, id)
		}
	}
	if e := l.only(); e.ID != id {
		l.Errorf("stored: %+v", e)
	}
	if kinds := l.kinds(""); len(kinds) != 1 {
		l.Errorf("told: %v", kinds)
	}
	one, two := keyed("order 17"), keyed("order 17")
	two.Origin.Site = "two"
	if l.enqueue(one, "Subject: hello\r\n\r\nhello\r\n") == l.enqueue(two, "Subject: hello\r\n\r\nhello\r\n") {
		l.Error("two sites share a key")
	}
}

func reusedKey(l *lab) {
	l.enqueue(keyed("order 17"), "Subject: hello\r\n\r\nhello\r\n")
	other := keyed("order 17")
	other.Envelope.Recipients[0].Address = "carol@far.test"
	for name, c := range map[string]struct {
		m       queue.Message
		content string
	}{
		"other content":                    {keyed("order 17"), "Subject: hello\r\n\r\nhello!\r\n"},
		"less content":                     {keyed("order 17"), ""},
		"another recipient":                {other, "Subject: hello\r\n\r\nhello\r\n"},
		"a fingerprint, not the envelope,": {queue.Message{Envelope: other.Envelope, Origin: other.Origin, Key: "order 17", Fingerprint: []byte("x")}, "Subject: hello\r\n\r\nhello\r\n"},
	} {
		if _, err := l.q.Enqueue(l.Context(), c.m, strings.NewReader(c.content)); !errors.Is(err, queue.ErrKeyReused) {
			l.Errorf("%s: error %v", name, err)
		}
	}
	l.only()
	// What stands for the envelope is all that counts of it.
	a, b := keyed("order 18"), other
	b.Key = "order 18"
	a.Fingerprint, b.Fingerprint = []byte("what was handed in"), []byte("what was handed in")
	if first, second := l.enqueue(a, "\r\n"), l.enqueue(b, "\r\n"); first != second {
		l.Errorf("with one fingerprint stored as %s and %s", first, second)
	}
}

func keyLife(l *lab) {
	l.run()
	l.sleep(time.Minute)
	id := l.enqueue(keyed("order 17"), "\r\n")
	removed := l.enqueue(func() queue.Message { m := keyed("order 18"); m.Hold = "x"; return m }(), "\r\n")
	l.count(1)(l.q.Remove(l.Context(), queue.Match{IDs: []string{removed}}))
	l.sleep(time.Minute)
	l.empty()
	l.sleep(7*day - 2*time.Minute)
	if again := l.enqueue(keyed("order 17"), "\r\n"); again != id {
		l.Errorf("after it was delivered it got the ID %s, and first %s", again, id)
	}
	if again := l.enqueue(keyed("order 18"), "\r\n"); again != removed {
		l.Errorf("after it was removed it got the ID %s, and first %s", again, removed)
	}
	l.sleep(time.Minute)
	if again := l.enqueue(keyed("order 17"), "other\r\n"); again == id {
		l.Error("a key of seven days ago was not free")
	}
	l.sleep(day)
	if n := len(l.seen()); n != 2 {
		l.Errorf("%d deliveries", n)
	}
}

func largeKey(l *lab) {
	content := strings.Repeat("0123456789\r\n", 2<<20/12)
	id := l.enqueue(keyed("large"), content)
	if again := l.enqueue(keyed("large"), content); again != id {
		l.Errorf("stored as %s and %s", id, again)
	}
	if _, err := l.q.Enqueue(l.Context(), keyed("large"), strings.NewReader(content+"x\r\n")); !errors.Is(err, queue.ErrKeyReused) {
		l.Errorf("other content: error %v", err)
	}
	if got := l.content(id); got != content {
		l.Errorf("%d of %d octets are left", len(got), len(content))
	}
	l.run()
	l.sleep(time.Minute)
	l.empty()
}

func racingKey(l *lab) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		got = map[string]int{}
	)
	for range 50 {
		all.Go(func() {
			id, err := l.q.Enqueue(l.Context(), keyed("order 17"), strings.NewReader("\r\n"))
			if err != nil {
				l.Errorf("enqueue: %v", err)
			}
			mu.Lock()
			got[id]++
			mu.Unlock()
		})
	}
	all.Wait()
	if id := l.only().ID; got[id] != 50 {
		l.Errorf("stored %s and told %v", id, got)
	}
	synctest.Wait()
}

func longKey(l *lab) {
	l.enqueue(keyed(strings.Repeat("k", 255)), "\r\n")
	m := keyed(strings.Repeat("k", 256))
	if _, err := l.q.Enqueue(l.Context(), m, strings.NewReader("\r\n")); err == nil {
		l.Error("there was no error")
	}
	m.Key, m.Envelope.Recipients = "", []transport.Recipient{{Address: "bob@far.test"}}
	if first := l.enqueue(m, "\r\n"); first == l.enqueue(m, "\r\n") {
		l.Error("two messages without a key are one")
	}
}
