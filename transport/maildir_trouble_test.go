package transport

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestAFullMailboxIsItsOwnAffairAndAFullDiskOurs(t *testing.T) {
	for _, tt := range []struct {
		err   error
		want  string
		local bool
	}{
		{syscall.EDQUOT, "452 4.2.2", false},
		{syscall.ENOSPC, "452 4.3.1", true},
		{syscall.EACCES, "451 4.3.0", true},
		{syscall.EROFS, "451 4.3.0", true},
		{contentError{syscall.EDQUOT}, "451 4.3.0", true},
		{errors.New("other"), "451 4.3.0", true},
	} {
		err := fmt.Errorf("delivering: %w", &fs.PathError{Op: "write", Path: "/secret/path", Err: tt.err})
		o := mailboxTrouble(err)
		got := o.Reply.Error()
		if !o.Deferred() || o.Local != tt.local || !strings.HasPrefix(got, tt.want) || strings.Contains(got, "secret") {
			t.Errorf("%v: %s, local %v", tt.err, got, o.Local)
		}
	}
}
