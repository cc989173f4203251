package smtpclient

import (
	"context"
	"strings"
	"testing"
)

// panicking is content of which the first part can be read.
type panicking struct{ first *strings.Reader }

func (p panicking) Read(b []byte) (int, error) {
	if p.first.Len() == 0 {
		panic("content")
	}
	return p.first.Read(b)
}

// TestBuffersAreSharedOnlyByClientsThatAreIdle looks who has buffers between methods.
func TestBuffersAreSharedOnlyByClientsThatAreIdle(t *testing.T) {
	_, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ndrain")
	if c.buffers != nil || c.replies.r != nil {
		t.Error("an idle client has buffers")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = c.Send(context.Background(), envelope("b@mx.test"), panicking{strings.NewReader(strings.Repeat("0123456789abcde\r\n", blockSize))})
	}()
	if c.buffers == nil {
		t.Error("a listener reads with buffers that others may have")
	}
	c.Close()
}
