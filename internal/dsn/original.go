package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/panelmail/panelmail/internal/rfc5322"
)

// defaultLimit is how much of a message is returned, in octets.
const defaultLimit = 50_000

// maxLine is the length no line of a message exceeds, CRLF not counted (RFC 5322
// section 2.1.1).
const maxLine = 998

// An original is the message reported on, as far as it is returned.
type original struct {
	part
	whole     bool   // with its body
	messageID string // "" if it has none to refer to
}

// readOriginal reads what is to be returned; nil if that is nothing.
func readOriginal(r Report) (*original, error) {
	if r.Content == nil {
		return nil, nil
	}
	limit := r.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	content := bufio.NewReader(rfc5322.NewCleaner(r.Content, rfc5322.Lenient))
	h, err := rfc5322.ReadHeader(content, rfc5322.Limits{})
	switch {
	case errors.Is(err, rfc5322.ErrTooLarge), errors.Is(err, rfc5322.ErrTooManyFields):
		return nil, nil // nothing of it can be returned within reason
	case err != nil:
		return nil, err
	}
	o := &original{messageID: msgID(h.Get("Message-ID"))}
	if r.Kind == Failed && !r.HeadersOnly {
		if o.body, o.whole, err = readBody(content, limit-h.Size()); err != nil {
			return nil, err
		}
	}
	h.Del("Return-Path")
	o.assemble(r, h, limit)
	return o, nil
}

// readBody reads the body if it has at most limit octets and no line too long.
func readBody(r io.Reader, limit int) (body []byte, ok bool, err error) {
	if limit < 0 {
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, false, err
	}
	if len(body) > limit {
		return nil, false, nil
	}
	for line := range bytes.Lines(body) {
		if len(line) > maxLine+len("\r\n") {
			return nil, false, nil
		}
	}
	return body, true, nil
}

// assemble puts Return-Path and header above the body and names the type.
func (o *original) assemble(r Report, h *rfc5322.Header, limit int) {
	var fields []byte
	for f := range h.Fields() {
		folded := refold(f.Raw())
		if len(fields)+len(folded) > limit {
			break
		}
		fields = append(fields, folded...)
	}
	global := (r.UTF8 || !isASCII(r.ReversePath)) && utf8.Valid(fields)
	var b []byte
	if global || isASCII(r.ReversePath) {
		b = rfc5322.Fold("Return-Path", "<"+legible(r.ReversePath)+">")
	}
	b = append(b, fields...)
	global = global && !isASCII(string(b))
	if o.whole {
		b = append(append(b, "\r\n"...), o.body...)
	}
	o.body = b
	switch {
	case o.whole && global:
		o.contentType, o.description = "message/global", "Undelivered message"
	case o.whole:
		o.contentType, o.description = "message/rfc822", "Undelivered message"
	case global:
		o.contentType, o.description = "message/global-headers", "Header of the message"
	default:
		o.contentType, o.description = "text/rfc822-headers", "Header of the message"
	}
}

// refold breaks the lines of a field that are too long, at blanks where there are
// some.
func refold(raw []byte) []byte {
	var b []byte
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		for len(line) > maxLine {
			n := bytes.LastIndexAny(line[1:maxLine], " \t") + 1
			if n <= 0 || len(bytes.TrimSpace(line[:n])) == 0 {
				n = maxLine - 1
				b = append(append(b, line[:n]...), "\r\n "...)
			} else {
				b = append(append(b, line[:n]...), "\r\n"...)
			}
			line = line[n:]
		}
		b = append(append(b, line...), "\r\n"...)
	}
	return b
}

// msgID is s if it is one msg-id and nothing else.
func msgID(s string) string {
	inner, ok := strings.CutPrefix(s, "<")
	inner, closed := strings.CutSuffix(inner, ">")
	if !ok || !closed || len(s) > 250 || inner == "" || strings.ContainsFunc(inner, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '<' || r == '>'
	}) {
		return ""
	}
	return s
}
