//! Later.
use crate::job::Job;
use mdrop::error::Result;
pub fn read(_job: &mut Job) -> Result<()> {
    Ok(())
}
