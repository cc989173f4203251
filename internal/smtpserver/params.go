package smtpserver

import (
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// mailParams reads the parameters of MAIL.
func (c *Conn) mailParams(s string) (p MailParams, bad *answer) {
	seen := map[string]bool{}
	for key, value := range parameters(s) {
		if seen[key] {
			return p, badParameter(key, "given twice")
		}
		seen[key] = true
		if bad := c.mailParam(&p, key, value); bad != nil {
			return p, bad
		}
	}
	return p, nil
}

func (c *Conn) mailParam(p *MailParams, key, value string) *answer {
	ok := true
	switch key {
	case "SIZE=":
		n, err := strconv.ParseUint(value, 10, 63)
		if errors.Is(err, strconv.ErrRange) || err == nil && int64(n) > c.server.maxSize() {
			return &answer{552, "5.3.4", "Message size exceeds fixed limit"}
		}
		ok = err == nil && isDigits(value)
		p.Size = int64(n)
	case "BODY=":
		p.Body = strings.ToUpper(value)
		if p.Body != "7BIT" && p.Body != "8BITMIME" {
			return unsupported(key + value) // BINARYMIME, for one
		}
	case "RET=":
		p.Ret = strings.ToUpper(value)
		ok = p.Ret == "FULL" || p.Ret == "HDRS"
	case "ENVID=":
		p.EnvID, ok = decodeXtext(value)
		ok = ok && value != "" && len(value) <= 100 // RFC 3461 section 4.4
	case "AUTH=":
		p.Auth, ok = mailAuth(value)
	case "SMTPUTF8":
		p.UTF8 = true
	case "REQUIRETLS":
		if !c.requireTLSOffered() {
			return unsupported(key + value)
		}
		p.RequireTLS = true
	default:
		return unsupported(key + value)
	}
	if !ok {
		return badParameter(key, "bad value")
	}
	return nil
}

// mailAuth reads the value of the AUTH parameter: RFC 4954 section 5.
func mailAuth(value string) (string, bool) {
	mailbox, ok := decodeXtext(value)
	if !ok || mailbox == "<>" {
		return mailbox, ok
	}
	a, err := address.Parse(mailbox)
	return a.String(), err == nil
}

// rcptParams reads the parameters of RCPT: RFC 3461 section 4.
func rcptParams(s string) (p RcptParams, bad *answer) {
	for key, value := range parameters(s) {
		ok := true
		switch key {
		case "NOTIFY=":
			ok = p.Notify == 0
			if ok {
				p.Notify, ok = parseNotify(value)
			}
		case "ORCPT=":
			ok = p.ORcpt == ""
			if ok {
				p.ORcpt, ok = parseORcpt(value)
			}
		default:
			return p, unsupported(key + value)
		}
		if !ok {
			return p, badParameter(key, "bad value")
		}
	}
	return p, nil
}

// parseNotify reads the value of NOTIFY: RFC 3461 section 4.1.
func parseNotify(value string) (Notify, bool) {
	var n Notify
	for _, word := range strings.Split(value, ",") {
		switch strings.ToUpper(word) {
		case "NEVER":
			n |= NotifyNever
		case "SUCCESS":
			n |= NotifySuccess
		case "FAILURE":
			n |= NotifyFailure
		case "DELAY":
			n |= NotifyDelay
		default:
			return 0, false
		}
	}
	return n, n&NotifyNever == 0 || n == NotifyNever
}

// parseORcpt reads the value of ORCPT, address type and xtext: RFC 3461 section
// 4.2. Addresses in UTF-8 (RFC 6533) come as they are.
func parseORcpt(value string) (string, bool) {
	kind, text, ok := strings.Cut(value, ";")
	if !ok || kind == "" || text == "" || len(value) > 500 || !isKeyword(kind) {
		return "", false
	}
	if strings.EqualFold(kind, "utf-8") && strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) >= 0 {
		return kind + ";" + text, strings.IndexByte(text, '+') < 0
	}
	text, ok = decodeXtext(text)
	return kind + ";" + text, ok
}

// decodeXtext decodes xtext (RFC 3461 section 4), strictly: hexadecimal digits in
// upper case, no = or blank, and nothing that decodes to a control character or
// leaves ASCII.
func decodeXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			c = byte(hi<<4 | lo)
			i += 2
		} else if c <= ' ' || c == '=' {
			return "", false
		}
		if c < ' ' || c >= 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

const upperHex = "0123456789ABCDEF"

// parameters cuts a list of parameters: the keyword in upper case, with the = if
// there is one, and the value after it. SIZE without = is not SIZE.
func parameters(s string) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' || r == '\t' }) {
			end := strings.IndexByte(word, '=') + 1
			if end == 0 {
				end = len(word)
			}
			if !yield(strings.ToUpper(word[:end]), word[end:]) {
				return
			}
		}
	}
}

// isKeyword reports whether s has the letters of an esmtp-keyword.
func isKeyword(s string) bool {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z', '0' <= s[i] && s[i] <= '9', s[i] == '-':
		default:
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func unsupported(word string) *answer {
	return &answer{555, "5.5.4", "Unsupported option: " + word}
}

func badParameter(key, why string) *answer {
	return &answer{501, "5.5.4", "Error: " + why + ": " + strings.TrimSuffix(key, "=")}
}
