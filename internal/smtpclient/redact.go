package smtpclient

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

const (
	gram   = 8   // octets of a secret in a row are no coincidence
	modest = 256 // octets; of a longer secret not every gram is kept
	stride = 4   // but one in so many
)

// A redactor masks secrets in text: a whole secret, and pieces of one, for a peer
// may cut what it repeats or fold it into lines. Case makes no difference. The zero
// redactor masks nothing.
type redactor struct {
	forms []string         // in lower case
	grams map[string]piece // where a gram stands in one of them
}

type piece struct{ form, at int }

// add adds a secret as it is, in hexadecimal and in base64. The last octets of the
// latter hang on what follows the secret there. Blanks around a secret are none.
func (r *redactor) add(secret string) {
	secret = strings.TrimSpace(secret)
	if secret == "" {
		return
	}
	r.form(secret)
	if len(secret) <= modest {
		r.form(hex.EncodeToString([]byte(secret)))
	}
	r.form(base64.RawStdEncoding.EncodeToString([]byte(secret)))
	for skip := range min(3, len(secret)) {
		if s := base64.RawStdEncoding.EncodeToString([]byte(secret[skip:])); len(s) > gram {
			r.form(s[:len(s)-1])
		}
	}
}

// form adds one form of a secret.
func (r *redactor) form(s string) {
	if s == "" {
		return
	}
	s = lower(s)
	r.forms = append(r.forms, s)
	if r.grams == nil {
		r.grams = map[string]piece{}
	}
	step := 1
	if len(s) > modest {
		step = stride
	}
	for i := 0; i+gram <= len(s); i += step {
		r.grams[s[i:i+gram]] = piece{len(r.forms) - 1, i}
	}
}

// mask replaces every secret in s by three asterisks.
func (r *redactor) mask(s string) string {
	if len(r.forms) == 0 {
		return s
	}
	folded := lower(s)
	secret := make([]bool, len(s))
	for _, form := range r.forms {
		for at := 0; ; at++ {
			i := strings.Index(folded[at:], form)
			if i < 0 {
				break
			}
			at += i
			mark(secret[at : at+len(form)])
		}
	}
	for i := 0; i+gram <= len(folded); i++ {
		if p, ok := r.grams[folded[i:i+gram]]; ok {
			from, to := r.extend(folded, i, p)
			mark(secret[from:to])
		}
	}
	if !slices.Contains(secret, true) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		switch {
		case !secret[i]:
			b.WriteByte(s[i])
		case i == 0 || !secret[i-1]:
			b.WriteString("***")
		}
	}
	return b.String()
}

// extend is as far as text around the gram at i goes on as in the secret.
func (r *redactor) extend(text string, i int, p piece) (from, to int) {
	form := r.forms[p.form]
	from, to = i, i+gram
	for at := p.at; from > 0 && at > 0 && text[from-1] == form[at-1]; at-- {
		from--
	}
	for at := p.at + gram; to < len(text) && at < len(form) && text[to] == form[at]; at++ {
		to++
	}
	return from, to
}

func mark(secret []bool) {
	for i := range secret {
		secret[i] = true
	}
}

// lower folds ASCII alone, so that each octet stays where it is.
func lower(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}
