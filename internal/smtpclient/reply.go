package smtpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what is read as one reply, in octets with line ends. RFC 5321
// section 4.5.3.1.5 allows a line of 512.
const (
	maxReplyLine = 2 << 10
	maxReply     = 64 << 10
	maxText      = 4 << 10 // of the text that is kept: there may be a reply for each recipient
)

// A Reply is what the peer answered (RFC 5321 section 4.2).
type Reply struct {
	Code     int    // 200 to 599; zero: no reply
	Enhanced [3]int // RFC 3463, if its class agrees with Code; else zero
	Text     string // lines separated by "\n", without codes or control characters; at most 4 KiB
}

// OK reports whether the peer agreed.
func (r Reply) OK() bool { return r.Code/100 == 2 }

// refused reports whether the reply is a failure, for now or for good.
func (r Reply) refused() bool { return r.Code/100 == 4 || r.Code/100 == 5 }

// String is the reply on one line.
func (r Reply) String() string {
	text := strings.ReplaceAll(r.Text, "\n", " ")
	if r.Enhanced[0] == 0 {
		return fmt.Sprintf("%03d %s", r.Code, text)
	}
	return fmt.Sprintf("%03d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], text)
}

// A replyReader reads replies and notes them in a transcript, long ones without their
// middle. Secrets are masked before anybody sees the text.
type replyReader struct {
	r       *bufio.Reader // at least maxReplyLine large
	log     *transcript
	secrets redactor
}

// read reads one reply. io.EOF means that the peer closed before its first octet.
func (rr *replyReader) read() (Reply, error) {
	var (
		reply  Reply
		status []byte // the enhanced code as written
		more   strings.Builder
	)
	for size, n := 0, 0; ; n++ {
		line, err := rr.line()
		if err != nil {
			if err == io.EOF && n > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Reply{}, err
		}
		if size += len(line); size > maxReply {
			return Reply{}, malformed("reply of more than %d octets", maxReply)
		}
		line = bytes.TrimRight(line, "\r\n")
		code, last, text, ok := cutReply(line)
		if size <= maxText || last || !ok {
			rr.note(line)
		}
		switch {
		case !ok:
			return Reply{}, malformed("not a reply: %q", head(rr.clean(line)))
		case n == 0:
			reply.Code = code
			reply.Enhanced, status = cutStatus(text, code/100)
		case code != reply.Code:
			return Reply{}, malformed("codes %d and %d in one reply", reply.Code, code)
		}
		text = withoutStatus(text, status)
		if last && n == 0 {
			reply.Text = rr.clean(text)
			return reply, nil
		}
		rr.gather(&more, text, n)
		if last {
			reply.Text = more.String()
			return reply, nil
		}
		if n == 0 {
			status = bytes.Clone(status) // the line was the reader's own
		}
	}
}

// gather adds the n-th line of a reply to its text, if there is room.
func (rr *replyReader) gather(more *strings.Builder, line []byte, n int) {
	room := maxText - more.Len() - len("\n")
	if len(line) > room {
		return
	}
	shown := rr.clean(line)
	if len(shown) > room {
		return
	}
	if n > 0 {
		more.WriteByte('\n')
	}
	more.WriteString(shown)
}

// line reads one line with its end; it is valid until the next read.
func (rr *replyReader) line() ([]byte, error) {
	line, err := rr.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > maxReplyLine:
		return nil, malformed("reply line of more than %d octets", maxReplyLine)
	case err == io.EOF && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return line, nil
}

// cutReply splits a line into code and text. Codes that no SMTP server gives are
// not codes: 1xx would ask for nothing we know, 999 is no failure to be believed.
func cutReply(line []byte) (code int, last bool, text []byte, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, false, nil, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, true, nil, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, nil, false
	}
	return code, line[3] == ' ', line[4:], true
}

// cutStatus reads the enhanced status code (RFC 2034) that text begins with. One
// of another class than the reply's is none.
func cutStatus(text []byte, class int) (status [3]int, written []byte) {
	if class != 2 && class != 4 && class != 5 {
		return [3]int{}, nil
	}
	end := bytes.IndexByte(text, ' ')
	if end < 0 {
		end = len(text)
	}
	part, rest := 0, text[:end]
	for i, c := range rest {
		switch {
		case digit(c):
			if status[part] = status[part]*10 + int(c-'0'); status[part] > 999 {
				return [3]int{}, nil
			}
		case c == '.' && part < 2 && i > 0 && digit(rest[i-1]):
			part++
		default:
			return [3]int{}, nil
		}
	}
	if part != 2 || rest[end-1] == '.' || status[0] != class {
		return [3]int{}, nil
	}
	return status, rest
}

// withoutStatus removes the status that each line of a reply repeats.
func withoutStatus(text, status []byte) []byte {
	rest, ok := bytes.CutPrefix(text, status)
	switch {
	case len(status) == 0 || !ok:
		return text
	case len(rest) == 0:
		return rest
	case rest[0] == ' ':
		return rest[1:]
	}
	return text
}

// note puts a line into the transcript.
func (rr *replyReader) note(line []byte) {
	if len(rr.secrets.forms) > 0 || !plain(line) {
		rr.log.server(rr.clean(line))
		return
	}
	add(rr.log, "S: ", line)
}

// plain reports whether there is nothing in text but printable ASCII.
func plain[T string | []byte](text T) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// clean makes peer's text fit to be shown: secrets are masked, control characters
// and what is not UTF-8 become question marks.
func (rr *replyReader) clean(b []byte) string {
	s := rr.secrets.mask(string(b))
	if plain(s) {
		return s
	}
	return printable(s)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// head is the beginning of a line, enough to recognise it.
func head(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
