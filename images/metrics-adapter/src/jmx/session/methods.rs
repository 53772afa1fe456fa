//! The methods of `RMIServer` and `RMIConnection` that are called here (JSR 160). Hashes follow
//! from names and descriptors; the test computes them.

use crate::rmi::Method;

/// `RMIServer.newClient`: logs in.
pub(crate) const NEW_CLIENT: Method = Method::hashed(-1_089_742_558_549_201_240);
/// `RMIConnection.close`.
pub(crate) const CLOSE: Method = Method::hashed(-4_742_752_445_160_157_748);
/// `RMIConnection.queryNames`.
pub(crate) const QUERY_NAMES: Method = Method::hashed(9_152_567_528_369_059_802);
/// `RMIConnection.getMBeanInfo`.
pub(crate) const GET_MBEAN_INFO: Method = Method::hashed(-7_404_813_916_326_233_354);
/// `RMIConnection.getAttribute`.
pub(crate) const GET_ATTRIBUTE: Method = Method::hashed(-1_089_783_104_982_388_203);
/// `RMIConnection.getAttributes`.
pub(crate) const GET_ATTRIBUTES: Method = Method::hashed(6_285_293_806_596_348_999);
/// `RMIConnection.getDefaultDomain`.
pub(crate) const GET_DEFAULT_DOMAIN: Method = Method::hashed(6_047_668_923_998_658_472);
