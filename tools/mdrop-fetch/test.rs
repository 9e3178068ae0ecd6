//! Later.
use mdrop::error::Result;
use mdrop::profile::Profile;
pub fn test(_profile: &Profile) -> Result<()> {
    Ok(())
}
