package parameterstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// SettingsName is the ConfigMap of an account's namespace that holds its service settings: under REGION.NAME the value of one, such as
// us-east-1.default-parameter-tier, and under REGION.NAME.last-modified when the API changed it last. Without it all settings are as they are by default. It
// may be written by hand, and by a manifest.
const SettingsName = "strongroom-parameter-store"

const lastModified = ".last-modified"

// ErrSettingsTaken says that the ConfigMap of the settings is somebody's target.
var ErrSettingsTaken = &types.InternalServerError{
	Message: ptr.To("ConfigMap " + SettingsName + " of the account's namespace shows something else: give that another name."),
}

// setting is one that there is.
type setting struct {
	name   string
	values []string // the first is the default
}

// settingPrefix begins the ids of the settings.
const settingPrefix = "/ssm/parameter-store/"

// settings are those of the Parameter Store.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html
var settings = map[string]setting{
	settingPrefix + "default-parameter-tier": {
		"default-parameter-tier", []string{string(v1alpha1.TierStandard), string(v1alpha1.TierAdvanced), string(v1alpha1.TierIntelligent)},
	},
	settingPrefix + "high-throughput-enabled": {"high-throughput-enabled", []string{"false", "true"}},
}

// SettingDefaultTier is the id of the tier that PutParameter gives a parameter without one.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-default-tier.html
const SettingDefaultTier = settingPrefix + "default-parameter-tier"

// Setting is a service setting of an account and region.
type Setting struct {
	ID, Value string
	// Customized tells that it was set, be it to the default.
	Customized bool
	// Modified is when the API set it, zero if it did not.
	Modified time.Time
}

// IsSetting tells whether there is a setting of an id.
func IsSetting(id string) bool { return settings[id].name != "" }

// Setting reads a setting that there is. A value that is none, which somebody wrote by hand, is the default.
func (s *Service) Setting(ctx context.Context, namespace, region, id string) (Setting, error) {
	of := settings[id]
	out := Setting{ID: id, Value: of.values[0]}
	stored, err := s.settingsOf(ctx, namespace)
	if err != nil || stored == nil {
		return out, err
	}
	if value := stored.Data[region+"."+of.name]; slices.Contains(of.values, value) {
		out.Value, out.Customized = value, true
		out.Modified, _ = time.Parse(time.RFC3339, stored.Data[region+"."+of.name+lastModified]) // zero if it is no time
	}
	return out, nil
}

// DefaultTier is the tier of an account and region for parameters that name none. It costs a request to the API server once in tierAge: what the replica that is
// asked has written counts at once, and what another one or a manifest wrote, then.
func (s *Service) DefaultTier(ctx context.Context, namespace, region string) (v1alpha1.ParameterTier, error) {
	of := accountRegion{namespace, region}
	tier, known, epoch := s.Tiers.get(of, s.Now())
	if known {
		return tier, nil
	}
	is, err := s.Setting(ctx, namespace, region, SettingDefaultTier)
	if err != nil {
		return "", err
	}
	tier = v1alpha1.ParameterTier(is.Value)
	s.Tiers.put(of, tier, s.Now(), epoch)
	return tier, nil
}

// settingsOf is the ConfigMap of the settings, past the cache; nil if there is none, or it is somebody's target.
func (s *Service) settingsOf(ctx context.Context, namespace string) (*corev1.ConfigMap, error) {
	stored := &corev1.ConfigMap{}
	err := s.Store.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: SettingsName}, stored)
	switch {
	case apierrors.IsNotFound(err) || err == nil && metav1.GetControllerOf(stored) != nil:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the service settings: %w", err)
	}
	return stored, nil
}

// UpdateSetting sets a setting that there is. A value that is none is a ValidationException.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_UpdateServiceSetting.html
func (s *Service) UpdateSetting(ctx context.Context, namespace, region, id, value string) error {
	of := settings[id]
	if !slices.Contains(of.values, value) {
		return Invalid(fmt.Sprintf("The value of the service setting %s is not valid. Valid values: %v", id, of.values))
	}
	key := region + "." + of.name
	return s.writeSettings(ctx, namespace, map[string]*string{key: &value, key + lastModified: ptr.To(s.Now().UTC().Format(time.RFC3339))})
}

// ResetSetting gives a setting that there is its default. One that has it stays so.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ResetServiceSetting.html
func (s *Service) ResetSetting(ctx context.Context, namespace, region, id string) error {
	stored, err := s.settingsOf(ctx, namespace)
	if err != nil || stored == nil {
		return err
	}
	key := region + "." + settings[id].name
	return s.writeSettings(ctx, namespace, map[string]*string{key: nil, key + lastModified: nil})
}

// writeSettings writes entries, and takes those away that are nil.
//
// Crash-safe: it is one write, of the entries of one setting alone, which does the same when it is done again. Of two writers of one setting the
// last one's holds, as in AWS.
func (s *Service) writeSettings(ctx context.Context, namespace string, entries map[string]*string) error {
	defer s.Tiers.forget() // also if it failed: it may have been written
	patch, err := json.Marshal(map[string]any{"data": entries})
	if err != nil {
		return fmt.Errorf("encoding service settings: %w", err)
	}
	for range maximumTries {
		stored := &corev1.ConfigMap{}
		err := s.Store.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: SettingsName}, stored)
		switch {
		case err == nil && metav1.GetControllerOf(stored) != nil:
			return ErrSettingsTaken
		case err == nil:
			err = s.Client.Patch(ctx, stored, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(FieldOwner))
		case apierrors.IsNotFound(err):
			err = s.createSettings(ctx, namespace, entries)
		}
		if !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) { // made or deleted a moment ago
			return wrapped("writing the service settings", err)
		}
	}
	return contended()
}

func (s *Service) createSettings(ctx context.Context, namespace string, entries map[string]*string) error {
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: SettingsName}, Data: map[string]string{}}
	for key, value := range entries {
		if value != nil {
			made.Data[key] = *value
		}
	}
	return s.Client.Create(ctx, made, client.FieldOwner(FieldOwner))
}

func wrapped(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
