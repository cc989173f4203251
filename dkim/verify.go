package dkim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// A Resolver finds TXT records: one text per record, its character-strings joined. A
// [net.DNSError] whose IsNotFound is set says that there are none; any other error means
// that this is not known. [net.Resolver] is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// A Result is what became of a signature, in the words of RFC 8601 section 2.7.1.
type Result string

// The results of [Verify].
const (
	Pass      Result = "pass"
	Fail      Result = "fail"      // the message is not the one that was signed
	Policy    Result = "policy"    // the signature has l=: anybody can append to the message
	TempError Result = "temperror" // the key could not be looked up; later it may
	PermError Result = "permerror" // the signature or its key cannot be used
)

// A Verification is one signature of a message and its result. Everything but Result
// and Err is what the signature claims.
type Verification struct {
	Result Result
	Err    error // why it is not Pass

	Domain     string // d=
	Selector   string // s=
	Identifier string // i=, or what stands for it
	Algorithm  string // a=, such as "rsa-sha256"
	Fields     []string
	Signed     time.Time // t=; zero if it does not say
	Expires    time.Time // x=; zero if it does not expire

	start string // of b=: tells apart what else is equal (RFC 6008)
}

const (
	maxSignatures = 5    // of a message are verified
	maxHashed     = 200  // names in h=
	maxRecord     = 4096 // octets of a record: an RSA key of 4,096 bits has 736
)

// Verify checks the signatures of a message, from the top down, but no more than five.
// The message is read once and in constant memory; it is best on disk by then, for a slow
// reader holds several goroutines until it is done. A message without signatures
// gives none.
//
// Errors: those at [ErrMalformed] and beside it, for messages that no Signer would have
// signed and whose signatures therefore say nothing; and errors of msg and of ctx. What
// the DNS does not answer is no error but a result.
func Verify(ctx context.Context, r Resolver, msg io.Reader) ([]Verification, error) {
	m, err := readMessage(ctx, msg)
	if err != nil {
		return nil, err
	}
	if err := m.checkFrom(); err != nil {
		return nil, err
	}
	claims, err := m.signatures()
	if err != nil || len(claims) == 0 {
		return nil, err
	}
	body := &untilError{r: m.body}
	options := dkim.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return lookUp(ctx, r, name) },
		MaxVerifications: maxSignatures,
	}
	found, err := dkim.VerifyWithOptions(io.MultiReader(bytes.NewReader(m.header.Bytes()), body), &options)
	switch {
	case body.err != nil:
		return nil, refused(body.err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, dkim.ErrTooManySignatures):
		return nil, fmt.Errorf("verifying signatures: %w", err)
	}
	for i, v := range found {
		claims[i].settle(v)
	}
	return claims, nil
}

// signatures are the first of the message's, as they describe themselves.
func (m *message) signatures() ([]Verification, error) {
	var claims []Verification
	for f := range m.header.Fields() {
		if !strings.EqualFold(f.Name(), "DKIM-Signature") {
			continue
		}
		if len(claims) == maxSignatures {
			break
		}
		tags, _ := parseTags(f.Value()) // if malformed, it will be found so and needs no name
		value := func(name string) string {
			v, _ := find(tags, name)
			return withoutBlanks(v)
		}
		if strings.Count(value("h"), ":") >= maxHashed {
			return nil, ErrRepeated // comparing names is quadratic
		}
		b := value("b")
		v := Verification{Selector: value("s"), Algorithm: value("a"), start: b[:min(len(b), 8)]}
		if _, ok := find(tags, "l"); ok {
			v.Result = Policy
		}
		claims = append(claims, v)
	}
	return claims, nil
}

// settle takes over what the library found.
func (v *Verification) settle(found *dkim.Verification) {
	v.Domain, v.Identifier, v.Fields = found.Domain, found.Identifier, found.HeaderKeys
	v.Signed, v.Expires, v.Err = found.Time, found.Expiration, found.Err
	switch {
	case dkim.IsTempFail(v.Err):
		v.Result = TempError
	case dkim.IsPermFail(v.Err):
		v.Result = PermError
	case v.Err == nil:
		v.Result = Pass
	case v.Result != Policy:
		v.Result = Fail
	}
}

// lookUp asks for the record of a key, in the way the library distinguishes errors: it
// takes everything for final that does not call itself temporary.
func lookUp(ctx context.Context, r Resolver, name string) ([]string, error) {
	selector, domain, ok := strings.Cut(name, infix)
	if !ok || !isHostname(selector) || !isHostname(domain) || len(name) > maxName {
		return nil, errors.New("malformed domain or selector")
	}
	texts, err := r.LookupTXT(ctx, name)
	var missing *net.DNSError
	switch {
	case errors.As(err, &missing) && missing.IsNotFound:
		return nil, nil
	case err != nil:
		return nil, &net.DNSError{Err: "look-up failed", Name: name, IsTemporary: true}
	}
	for _, text := range texts {
		if len(text) > maxRecord {
			return nil, errors.New("record too long")
		}
	}
	return texts, nil
}

// An untilError reads until an error, and keeps it: the library leaves goroutines behind
// when it meets one.
type untilError struct {
	r   io.Reader
	err error // other than io.EOF
}

func (u *untilError) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, io.EOF
	}
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		u.err = err
		err = io.EOF
	}
	return n, err
}
