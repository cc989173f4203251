package blade

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// A key of an array: an int, or a string that is not the decimal form of one.
type key struct {
	name  string
	n     int64
	named bool
}

// value is a key as an expression sees it.
func (k key) value() value {
	if k.named {
		return k.name
	}
	return k.n
}

func (k key) String() string {
	if k.named {
		return quoted(k.name)
	}
	return strconv.FormatInt(k.n, 10)
}

// toKey is a value as the key of an array.
func toKey(v value) (key, error) {
	switch v := v.(type) {
	case nil:
		return key{named: true}, nil
	case bool, float64:
		n, err := toInt(v)
		return key{n: n}, err
	case int64:
		return key{n: v}, nil
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && strconv.FormatInt(n, 10) == v {
			return key{n: n}, nil
		}
		return key{name: v, named: true}, nil
	}
	return key{}, fmt.Errorf("%s is no key of an array", typeName(v))
}

// An entry of an array.
type entry struct {
	key   key
	value value
}

// An array is an ordered map. It does not change once something else than what
// builds it has seen it.
type array struct {
	entries []entry
	index   map[key]int // nil while the keys are 0, 1, 2 …
	next    int64       // the key of what is appended
	depth   int         // arrays in arrays, this one included
}

// list is an array of values with the keys 0, 1, 2 …
func list(values ...value) *array {
	a := &array{depth: 1, entries: make([]entry, 0, len(values))}
	for _, v := range values {
		a.append(v)
	}
	return a
}

func (a *array) count() int { return len(a.entries) }

// append builds: it adds a value behind the others.
func (a *array) append(v value) { a.set(key{n: a.next}, v) }

// set builds: it adds an entry or replaces its value.
func (a *array) set(k key, v value) {
	if inner, ok := v.(*array); ok {
		a.depth = max(a.depth, inner.depth+1)
	}
	if i, ok := a.find(k); ok {
		a.entries[i].value = v
		return
	}
	if a.index == nil && (k.named || k.n != int64(len(a.entries))) {
		a.index = make(map[key]int, len(a.entries)+1)
		for i, e := range a.entries {
			a.index[e.key] = i
		}
	}
	if a.index != nil {
		a.index[k] = len(a.entries)
	}
	if !k.named && k.n >= a.next && k.n < math.MaxInt64 {
		a.next = k.n + 1
	}
	a.entries = append(a.entries, entry{k, v})
}

func (a *array) find(k key) (int, bool) {
	if a.index == nil {
		ok := !k.named && k.n >= 0 && k.n < int64(len(a.entries))
		return int(k.n), ok
	}
	i, ok := a.index[k]
	return i, ok
}

// at is the value with a key.
func (a *array) at(k key) (value, bool) {
	i, ok := a.find(k)
	if !ok {
		return nil, false
	}
	return a.entries[i].value, true
}

// values are the values in their order.
func (a *array) values() []value {
	out := make([]value, len(a.entries))
	for i, e := range a.entries {
		out[i] = e.value
	}
	return out
}

// clone is an array that may be built further.
func (a *array) clone() *array {
	return &array{entries: slices.Clone(a.entries), index: maps.Clone(a.index), next: a.next, depth: a.depth}
}

// check says whether an array is larger than templates may have.
func (a *array) check() error {
	if len(a.entries) > MaxEntries {
		return over("an array has more than %d entries", MaxEntries)
	}
	if a.depth > MaxNesting {
		return over("arrays are nested in arrays more than %d levels deep", MaxNesting)
	}
	return nil
}
