package srs

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A vector is what postsrsd 1.10 answered with its clock stopped.
type vector struct {
	ID            string   `json:"id"`
	Kind          string   `json:"kind"`
	Secrets       []string `json:"secrets"`
	Domain        string   `json:"srs_domain"`
	Separator     string   `json:"separator"`
	HashLength    int      `json:"hashlength"`
	HashMin       int      `json:"hashmin"`
	AlwaysRewrite bool     `json:"always_rewrite"`
	Unix          int64    `json:"unix"`
	Stamp         string   `json:"stamp_now"`
	Input         string   `json:"input"`
	Output        string   `json:"output"`
	Reply         string   `json:"reply"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/srs.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

func (v vector) rewriter(t testing.TB) *Rewriter {
	t.Helper()
	var secrets [][]byte
	for _, s := range v.Secrets {
		secrets = append(secrets, []byte(s))
	}
	r, err := New(v.Domain, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	r.Separator, r.HashLength, r.MinHashLength, r.AlwaysRewrite = v.Separator[0], v.HashLength, v.HashMin, v.AlwaysRewrite
	return r
}

// different are the vectors whose result is another one here, with the rule of the
// format or of SMTP behind it.
var different = map[string]struct{ why, output string }{
	"F-16": {
		"the sender is split at the first @, so quoted local-parts with @ break; and a quote within an atom is no address (RFC 5321 section 4.1.2)",
		`"SRS0=Kex7=IL=example.com=\"quoted local\""@fwd.example.net`,
	},
	"R-66": {"an empty user with a right hash reverses to @host: refuse it", ""},
	"R-78": {"both alphabets of base64 are accepted on the way back", "user1019@example.com"},
}

func TestVectorsOfPostsrsdComeOutAsThere(t *testing.T) {
	list := vectors(t)
	if len(list) != 56 {
		t.Fatalf("%d vectors, want 56", len(list))
	}
	for _, v := range list {
		r, now, want := v.rewriter(t), time.Unix(v.Unix, 0), v.Output
		if d, ok := different[v.ID]; ok {
			want = d.output
		}
		call := r.forwardAt
		if v.Kind == "reverse" {
			call = r.reverseAt
		}
		got, err := call(now, v.Input)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s of %s is %q, %v; want %q", v.ID, v.Kind, v.Input, got, err, want)
		}
		if got := stamp(now); got != v.Stamp {
			t.Errorf("%s: the stamp is %s, want %s", v.ID, got, v.Stamp)
		}
	}
}

func TestVectorsAreRefusedForTheReasonGivenThere(t *testing.T) {
	kinds := map[string]error{
		"500 No at sign in sender address":       ErrMalformed,
		"500 Not an SRS address.":                ErrNotSRS,
		"500 Hash invalid in SRS address.":       ErrHash,
		"500 Hash too short in SRS address.":     ErrHash,
		"500 Time stamp out of date.":            ErrExpired,
		"500 Bad base32 character in timestamp.": ErrMalformed,
		"500 No user in SRS0 address.":           ErrMalformed,
		"500 No host in SRS1 address.":           ErrMalformed,
		"200 @example.com":                       ErrMalformed,
	}
	hashFirst := map[string]bool{"R-53": true, "R-55": true} // forged, and out of date as well
	for _, v := range vectors(t) {
		r, now := v.rewriter(t), time.Unix(v.Unix, 0)
		call := r.forwardAt
		if v.Kind == "reverse" {
			call = r.reverseAt
		}
		_, err := call(now, v.Input)
		if err == nil {
			continue
		}
		want := kinds[v.Reply]
		if hashFirst[v.ID] {
			want = ErrHash
		}
		if want == nil || !errors.Is(err, want) {
			t.Errorf("%s: %s of %s: %v; want %v", v.ID, v.Kind, v.Input, err, want)
		}
	}
}

// Those of Mail::SRS 0.31 on the first day of 2020.
func TestAddressesOfMailSRSAreOurs(t *testing.T) {
	r, err := New("example.com", []byte("tops3cr3t"))
	if err != nil {
		t.Fatal(err)
	}
	r.HashLength = 4
	now := time.Date(2020, 1, 1, 0, 1, 0, 0, time.UTC)
	for _, pair := range [][2]string{
		{"test@otherdomain.com", "SRS0=vmyz=2W=otherdomain.com=test@example.com"},
		{"a+b=c@x.test", "SRS0=h3kH=2W=x.test=a+b=c@example.com"},
		{"SRS0=vmyz=2W=otherdomain.com=test@fwd1.test", "SRS1=/xf+=fwd1.test==vmyz=2W=otherdomain.com=test@example.com"},
	} {
		forward, err1 := r.forwardAt(now, pair[0])
		reverse, err2 := r.reverseAt(now, pair[1])
		if diff := cmp.Diff([2]string{reverse, forward}, pair); diff != "" || err1 != nil || err2 != nil {
			t.Errorf("%v, %v; (-want +got)\n%s", err1, err2, diff)
		}
	}
}
