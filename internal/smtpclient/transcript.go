package smtpclient

import (
	"bytes"
)

// maxTranscript is how much of a dialogue is kept, in octets.
const maxTranscript = 4 << 10

// A transcript keeps the end of a dialogue, whole lines with "C: " or "S: "
// before each.
type transcript struct{ buf []byte }

func (t *transcript) client(line string) { t.buf = append(append(t.begin("C: "), line...), '\n') }

func (t *transcript) sent(line []byte) { t.buf = append(append(t.begin("C: "), line...), '\n') }

func (t *transcript) server(line []byte) { t.buf = append(append(t.begin("S: "), line...), '\n') }

// begin begins a line, after it has made room.
func (t *transcript) begin(who string) []byte {
	if len(t.buf) > 2*maxTranscript {
		t.buf = append(t.buf[:0], t.tail()...)
	}
	return append(t.buf, who...)
}

// tail is the last whole lines that maxTranscript holds.
func (t *transcript) tail() []byte {
	if len(t.buf) <= maxTranscript {
		return t.buf
	}
	b := t.buf[len(t.buf)-maxTranscript-1:]
	return b[bytes.IndexByte(b, '\n')+1:]
}

func (t *transcript) reset() { t.buf = t.buf[:0] }
