package transport

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestRecordsAreRememberedAsLongAsTheyAllow(t *testing.T) {
	var c dnsCache
	now := time.Unix(0, 0)
	q := dnsQuestion{"x.test.", dns.TypeMX}
	for ttl, want := range map[uint32]time.Duration{0: 0, 60: time.Minute, 86400: 5 * time.Minute} {
		answer := []dns.RR{
			&dns.CNAME{Hdr: dns.RR_Header{Ttl: 1 << 30}},
			&dns.MX{Hdr: dns.RR_Header{Ttl: ttl}, Mx: strconv.Itoa(int(ttl))},
		}
		c.put(q, dnsAnswer{records: answer[1:]}, freshness(answer), now)
		if _, ok := c.get(q, now.Add(want)); ok {
			t.Errorf("TTL %d: remembered after %v", ttl, want)
		}
		if got, ok := c.get(q, now.Add(want-1)); want > 0 && (!ok || got.records[0] != answer[1]) {
			t.Errorf("TTL %d: forgotten before %v", ttl, want)
		}
		if _, ok := c.get(dnsQuestion{"x.test.", dns.TypeA}, now); ok {
			t.Error("another type is remembered")
		}
	}
}

func TestRememberedRecordsAreBounded(t *testing.T) {
	var c dnsCache
	now := time.Unix(0, 0)
	for i := range 3 * maxCached / 2 {
		c.put(dnsQuestion{strconv.Itoa(i), dns.TypeA}, dnsAnswer{}, time.Minute, now)
	}
	if len(c.answers) > maxCached {
		t.Errorf("%d answers", len(c.answers))
	}
}

func TestAnAnswerThatIsTooLargeIsNotRemembered(t *testing.T) {
	now := time.Unix(0, 0)
	for octets, want := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		var c dnsCache
		var records []dns.RR
		for rest := octets; rest > 0; {
			rr := &dns.TXT{Hdr: dns.RR_Header{Name: "."}, Txt: []string{""}}
			rr.Txt[0] = strings.Repeat("x", min(200, rest-dns.Len(rr)))
			records, rest = append(records, rr), rest-dns.Len(rr)
		}
		q := dnsQuestion{".", dns.TypeTXT}
		c.put(q, dnsAnswer{records: records}, time.Minute, now)
		if _, ok := c.get(q, now); ok != want {
			t.Errorf("%d octets: remembered: %v", octets, ok)
		}
	}
}
