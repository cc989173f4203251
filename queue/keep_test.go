package queue

import "testing"

func TestContentInMemoryIsBounded(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, kept int
		want       bool
	}{
		{"small", 10, 0, true},
		{"the largest that is kept", expressContent, 0, true},
		{"one octet more", expressContent + 1, 0, false},
		{"the last room", expressContent, expressMemory - expressContent, true},
		{"one octet less room", expressContent, expressMemory - expressContent + 1, false},
	} {
		s, a := &scheduler{kept: c.kept}, &attempt{}
		s.keep(a, &record{head: make([]byte, 10), body: make([]byte, c.size-10)})
		if (a.content != nil) != c.want || s.kept != c.kept+len(a.content) {
			t.Errorf("%s: %d octets kept, %d in all", c.name, len(a.content), s.kept)
		}
	}
}
