package acmpca

import (
	"errors"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestAKeyIsThatOfOneAuthority(t *testing.T) {
	const mine, theirs = "arn:mine", "arn:theirs"
	holder := func(arn string, certified bool) *v1alpha1.KeyAuthority {
		return &v1alpha1.KeyAuthority{ARN: arn, Name: "holder", Certified: certified}
	}
	unread := errors.New("a certificate cannot be read")
	for _, tt := range []struct {
		name   string
		in     ownership
		gone   bool
		eldest *v1alpha1.KeyAuthority
		fails  error
		want   string // the ARN of whose it is
		free   bool
	}{
		{name: "one that is called as mine and that nobody has is free", in: ownership{byName: true}, want: mine, free: true},
		{name: "one that is called otherwise, and that nobody gave to me, is none of mine"},
		{name: "nor is one of that name that another has had a certificate for", in: ownership{byName: true}, eldest: holder(theirs, true), want: theirs},
		{name: "one that its status says is mine is mine, whatever certificates say", in: ownership{holder: holder(mine, false)}, eldest: holder(theirs, true), want: mine},
		{name: "and needs no look at certificates", in: ownership{holder: holder(mine, true)}, fails: unread, want: mine},
		{name: "one of another that has a certificate is that one's, also when it is gone", in: ownership{holder: holder(theirs, true)}, gone: true, want: theirs},
		{name: "one of another that waits for its certificate is that one's", in: ownership{holder: holder(theirs, false)}, want: theirs},
		{name: "one of another that went without a certificate is free", in: ownership{holder: holder(theirs, false)}, gone: true, want: mine, free: true},
		{name: "unless that one left a certificate behind", in: ownership{holder: holder(theirs, false)}, gone: true, eldest: holder(theirs, true), want: theirs},
		{name: "without a holder it is that of the oldest certificate", eldest: holder(theirs, true), want: theirs},
		{name: "which may be mine", eldest: holder(mine, true), want: mine, free: true},
		{name: "one whose spec names me is free, whoever holds it", in: ownership{named: "me", holder: holder(theirs, true)}, want: mine, free: true},
		{name: "one whose spec names me and that I hold is mine, without a write", in: ownership{named: "me", holder: holder(mine, true)}, want: mine},
		{name: "one whose spec names another is none of mine, also if I hold it", in: ownership{named: "they", holder: holder(mine, true)}},
		{name: "if it cannot be told whose it is, it is nobody's", fails: unread},
		{name: "nor is it if it cannot be told whether the holder is gone", in: ownership{holder: holder(theirs, false)}, fails: unread, want: theirs},
	} {
		in := tt.in
		in.arn, in.name = mine, "me"
		in.holderGone = func() (bool, error) { return tt.gone, tt.fails }
		in.eldest = func() (*v1alpha1.KeyAuthority, error) { return tt.eldest, tt.fails }
		whose, free, err := in.decide()
		if whose.ARN != tt.want || free != tt.free {
			t.Errorf("%s: it is %q's, free %t, and should be %q's, %t", tt.name, whose.ARN, free, tt.want, tt.free)
		}
		if asked := in.holder == nil || !in.holder.Certified && in.holder.ARN != mine; asked && !errors.Is(err, tt.fails) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
