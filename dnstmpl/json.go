package dnstmpl

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// recordJSON is a record in JSON. data is as in a zone file and says all; value has
// the same in parts.
type recordJSON struct {
	Name  string `json:"name"`
	TTL   uint32 `json:"ttl"`
	Class string `json:"class"`
	Type  string `json:"type"`
	Data  string `json:"data"`
	Value Value  `json:"value,omitempty"`
}

// MarshalJSON is an object with name, ttl, class (always IN), type, data (as a zone
// file has it) and value, an object with the parts of the data.
func (r Record) MarshalJSON() ([]byte, error) {
	if r.Value == nil {
		return nil, fmt.Errorf("dnstmpl: the record %s has no value", r.Name)
	}
	return json.Marshal(recordJSON{r.Name, r.TTL, "IN", r.Type(), r.Value.String(), r.Value})
}

// UnmarshalJSON reads name, ttl, type and data. The record is held to the rules of
// lines, but for the zone that it is in.
func (r *Record) UnmarshalJSON(b []byte) error {
	in := struct {
		*recordJSON
		Value json.RawMessage `json:"value"` // says nothing that data does not
	}{recordJSON: &recordJSON{}}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	rec, class, bad := reader{zone: ".", provider: everyType()}.line(fmt.Sprintf("%s %d %s %s %s", in.Name, in.TTL, in.Class, in.Type, in.Data))
	switch {
	case bad != nil:
		return bad.problem(place{}, "")
	case class != "IN":
		return Problem{Rule: RuleClass, Text: "the record's class is not IN"}
	}
	*r = rec
	return nil
}

// MarshalJSON is an object with zone, the name, and records.
func (z Zone) MarshalJSON() ([]byte, error) {
	if z.Records == nil {
		z.Records = []Record{}
	}
	return json.Marshal(zoneJSON{z.Name, z.Records})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (z *Zone) UnmarshalJSON(b []byte) error {
	var in zoneJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*z = Zone{Name: in.Name, Records: in.Records}
	return nil
}

type zoneJSON struct {
	Name    string   `json:"zone"`
	Records []Record `json:"records"`
}

// MarshalJSON is an object with text, if that is UTF-8; JSON has no other strings.
func (v TXT) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(v.Text) {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]string{"text": v.Text})
}
