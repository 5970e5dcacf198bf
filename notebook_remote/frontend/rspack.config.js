// The default ids depend on the folder that is built in; these do not, so that whether the
// committed build is current can be checked anywhere.
module.exports = { optimization: { moduleIds: 'natural' } };
