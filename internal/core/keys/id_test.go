package keys_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

func TestAKeyIDIsALowerCaseUUIDOrAMultiRegionID(t *testing.T) {
	want := [16]byte{0x12, 0x34, 0xab, 0xcd, 0x12, 0xab, 0x34, 0xcd, 0x56, 0xef, 0x12, 0x34, 0x56, 0x78, 0x90, 0xab}
	for _, id := range []string{"1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"} {
		if got, err := keys.ParseKeyID(id); err != nil || got != want {
			t.Errorf("%s: %x, %v", id, got, err)
		}
	}
	for _, id := range []string{
		"", "1234ABCD-12ab-34cd-56ef-1234567890ab", "1234abcd12ab34cd56ef1234567890ab", "{1234abcd-12ab-34cd-56ef-1234567890ab}",
		"1234abcd-12ab-34cd-56ef-1234567890a", "1234abcd-12ab-34cd-56ef-1234567890abc", "1234abcd_12ab-34cd-56ef-1234567890ab",
		"1234abcd-12ab-34cd-56ef_1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ag", " 1234abcd-12ab-34cd-56ef-1234567890ab",
		"mrk-1234abcd12ab34cd56ef1234567890a", "mrk-1234ABCD12ab34cd56ef1234567890ab", "mrk-1234abcd-12ab-34cd-56ef-1234567890ab",
		"MRK-1234abcd12ab34cd56ef1234567890ab", "alias/shop", "urn:uuid:1234abcd-12ab-34cd-56ef-1234567890ab",
		"--------------------------------1234", strings.Repeat("1", 1<<20),
	} {
		got, err := keys.ParseKeyID(id)
		if !errors.Is(err, keys.ErrInvalidID) || got != ([16]byte{}) {
			t.Errorf("%.40q: %x, %v", id, got, err)
		}
		if len(err.Error()) > 300 {
			t.Errorf("the error is as long as what a stranger sent: %d bytes", len(err.Error()))
		}
	}
}

func TestFormatKeyIDTurnsParseKeyIDAround(t *testing.T) {
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	b, err := keys.ParseKeyID(id)
	if err != nil || keys.FormatKeyID(b) != id {
		t.Errorf("%s, %v", keys.FormatKeyID(b), err)
	}
}

func TestAMultiRegionIDHasTheDigitsOfAUUIDAndAnotherForm(t *testing.T) {
	const uuid = "1234abcd-12ab-34cd-56ef-1234567890ab"
	id := keys.MultiRegionID(uuid)
	if id != "mrk-1234abcd12ab34cd56ef1234567890ab" || !keys.MultiRegion(id) || keys.MultiRegion(uuid) {
		t.Error(id)
	}
	a, err := keys.ParseKeyID(id)
	b, err2 := keys.ParseKeyID(uuid)
	if err != nil || err2 != nil || a != b {
		t.Errorf("%x and %x, %v, %v", a, b, err, err2)
	}
}

func TestANewMaterialIDIs64HexadecimalDigitsOfTheSource(t *testing.T) {
	id, err := keys.NewMaterialID(bytes.NewReader(bytes.Repeat([]byte{0xab}, 32)))
	if err != nil || id != strings.Repeat("ab", 32) {
		t.Errorf("%s, %v", id, err)
	}
	a, err := keys.NewMaterialID(nil)
	b, err2 := keys.NewMaterialID(nil)
	if err != nil || err2 != nil || a == b || len(a) != 64 {
		t.Errorf("%s, %s, %v, %v", a, b, err, err2)
	}
	if id, err := keys.NewMaterialID(strings.NewReader("too short")); err == nil || id != "" {
		t.Errorf("a short source made %q", id)
	}
}

func TestAMaterialIDPrefixIsItsFirst16Bytes(t *testing.T) {
	got, err := keys.MaterialIDPrefix("000102030405060708090a0b0c0d0e0f" + strings.Repeat("ff", 16))
	if err != nil || got != [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
		t.Errorf("%x, %v", got, err)
	}
	for _, id := range []string{"", strings.Repeat("a", 63), strings.Repeat("a", 65), strings.Repeat("A", 64), strings.Repeat("g", 64), strings.Repeat("é", 32)} {
		if got, err := keys.MaterialIDPrefix(id); !errors.Is(err, keys.ErrInvalidID) || got != ([16]byte{}) {
			t.Errorf("%q: %x, %v", id, got, err)
		}
	}
}
