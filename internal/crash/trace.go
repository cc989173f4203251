package crash

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// TraceFlags make strace(1) write what [ReplayTrace] reads, to a file whose
// name goes between them and the traced command. With -D the command is the
// process that was started, so signals reach it.
func TraceFlags() []string {
	return []string{
		"-D", "-f", "--seccomp-bpf", "-y", "-s", "1000000",
		"-e", "trace=write,pwrite64,fsync,fdatasync,ftruncate,unlink,unlinkat", "-e", "signal=none", "-o",
	}
}

// An event is a system call that matters to what survives a power cut.
type event struct {
	kind  kind
	path  string
	off   int64  // of a write; the new size of a truncation
	data  []byte // of a write
	reply string // of an acknowledgement: the queue ID
	pid   string // who makes the call
}

type kind int

const (
	written   kind = iota // data is in the kernel's cache
	truncated             // a file has a new size
	syncing               // a sync begins: what was written before will be on disk
	synced                // when it ends
	unlinked
	acknowledged // the server says 250 to a message
)

// A tracer turns lines of strace into events. A call that another thread
// interrupts comes in two lines, which are put together.
type tracer struct {
	begun map[string]string // by process, the first half of an interrupted call
}

var (
	fdPattern     = regexp.MustCompile(`^\w+\(\d+<([^>]*)>`)
	unlinkPattern = regexp.MustCompile(`^unlink(?:at)?\(.*"([^"]*)"`)
	queuedPattern = regexp.MustCompile(`250 2\.0\.0 Ok: queued as (\w+)`)
)

// events reads a whole trace and calls f with each event in order.
func (t *tracer) events(r io.Reader, f func(event) error) error {
	t.begun = map[string]string{}
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		found, err := t.line(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return err
		}
		for _, e := range found {
			if err := f(e); err != nil {
				return err
			}
		}
	}
}

// line returns what a line tells: the begin of a call, its end, or both.
func (t *tracer) line(line string) ([]event, error) {
	pid, call, _ := strings.Cut(line, " ")
	call = strings.TrimLeft(call, " ")
	if half, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
		t.begun[pid] = half
		return begin(half, pid), nil
	}
	if strings.HasPrefix(call, "<... ") {
		_, rest, _ := strings.Cut(call, " resumed>")
		return end(t.begun[pid]+rest, pid)
	}
	after, err := end(call, pid)
	return append(begin(call, pid), after...), err
}

// begin is what is known before a call returns.
func begin(call, pid string) []event {
	switch {
	case strings.HasPrefix(call, "fsync("), strings.HasPrefix(call, "fdatasync("):
		return []event{{kind: syncing, path: descriptor(call), pid: pid}}
	case strings.HasPrefix(call, "write(") && strings.Contains(descriptor(call), "socket:"):
		var acks []event
		for _, m := range queuedPattern.FindAllStringSubmatch(call, -1) {
			acks = append(acks, event{kind: acknowledged, reply: m[1], pid: pid})
		}
		return acks
	}
	return nil
}

// end is what is true when a call has returned.
func end(call, pid string) ([]event, error) {
	i := strings.LastIndex(call, " = ")
	if i < 0 {
		return nil, nil // an exit, or cut off by it
	}
	result, err := strconv.ParseInt(strings.Fields(call[i+3:])[0], 10, 64)
	if err != nil || result < 0 {
		return nil, nil // a failed call, or none that we follow
	}
	e := event{path: descriptor(call), pid: pid}
	switch name, _, _ := strings.Cut(call, "("); name {
	case "fsync", "fdatasync":
		e.kind = synced
	case "unlink", "unlinkat":
		m := unlinkPattern.FindStringSubmatch(call)
		if m == nil {
			return nil, fmt.Errorf("cannot read %q", call)
		}
		e.kind, e.path = unlinked, m[1]
	case "ftruncate":
		e.kind, e.off = truncated, number(call[:i])
	case "pwrite64":
		e.kind, e.off = written, number(call[:i])
		e.data, err = quoted(call)
		e.data = e.data[:min(int64(len(e.data)), result)]
	default:
		return nil, nil
	}
	return []event{e}, err
}

// descriptor is the path that strace shows for a call's first argument.
func descriptor(call string) string {
	if m := fdPattern.FindStringSubmatch(call); m != nil {
		return m[1]
	}
	return ""
}

// number is the last argument of a call.
func number(call string) int64 {
	call = strings.TrimRight(call, " )")
	n, _ := strconv.ParseInt(call[strings.LastIndexAny(call, " ,")+1:], 10, 64)
	return n
}

// quoted is the string argument of a call, with C escapes as strace writes
// them.
func quoted(call string) ([]byte, error) {
	_, s, ok := strings.Cut(call, `"`)
	if !ok {
		return nil, fmt.Errorf("no string in %.100q", call)
	}
	var b bytes.Buffer
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.Bytes(), nil
		case s[i] != '\\':
			b.WriteByte(s[i])
		default:
			c, n := escape(s[i+1:])
			b.WriteByte(c)
			i += n
		}
	}
	return nil, fmt.Errorf("a string without end in %.100q", call)
}

// escape reads what follows a backslash: up to three octal digits or a letter.
func escape(s string) (c byte, n int) {
	for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
		c = c<<3 | (s[n] - '0')
		n++
	}
	if n > 0 || s == "" {
		return c, n
	}
	if i := strings.IndexByte("abtnvfr", s[0]); i >= 0 {
		return byte(7 + i), 1 // in the order of ASCII
	}
	return s[0], 1
}
